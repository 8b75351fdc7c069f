package api_test

import (
	"errors"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
)

// ssh is a rule that a host has to enforce.
var ssh = v3.SecurityGroupRule{FlowDirection: "ingress", Protocol: "tcp", StartPort: 22, EndPort: 22, Network: "192.0.2.0/24"}

func TestEgoscaleWaitsForALateHost(t *testing.T) {
	t.Parallel()
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	h := r.join(t, "hv1")
	r.register(t, "hv1", "web1", 1)
	group := v3.UUID(r.defaultGroup(t))

	h.hold()
	first, err := c.AddRuleToSecurityGroup(ctx, group, request(ssh))
	if err != nil {
		t.Fatal(explained(err))
	}
	if first.State != v3.OperationStatePending || first.Reference == nil || first.Reference.ID != group {
		t.Errorf("while the host is slow: got %+v", first)
	}
	op, err := c.GetOperation(ctx, first.ID)
	if err != nil || op.State != v3.OperationStatePending || op.Message != "waiting for host hv1 to enforce it" {
		t.Errorf("its operation: got %+v, %v", op, err)
	}
	h.release()
	op, err = c.Wait(ctx, first, v3.OperationStateSuccess)
	if err != nil || op.Reference.ID != group {
		t.Errorf("once the host enforces it: got %+v, %v", op, err)
	}
	if op, err := c.GetOperation(ctx, first.ID); err != nil || op.State != v3.OperationStateSuccess {
		t.Errorf("its operation, after it ended: got %+v, %v", op, err)
	}
}

func TestEgoscaleOperationsNameWhatTheyChange(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	op, err := c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"})
	if err != nil {
		t.Fatal(explained(err))
	}
	// Nobody has to poll for what concerns no host.
	if op.State != v3.OperationStateSuccess || op.Reference == nil || op.Reference.Link != "/v2/security-group/"+string(op.Reference.ID) || op.Reference.Command != "create-security-group" {
		t.Errorf("the operation: got %+v", op)
	}
	if _, err := c.DeleteSecurityGroup(ctx, op.Reference.ID); err != nil {
		t.Fatal(explained(err))
	}
	again, err := c.GetOperation(ctx, op.ID)
	if err != nil || again.State != v3.OperationStateSuccess || again.Reference.ID != op.Reference.ID {
		t.Errorf("the operation after its group is gone: got %+v, %v", again, err)
	}
	if _, err := c.GetSecurityGroup(ctx, op.Reference.ID); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("the group: got %v", err)
	}
}
