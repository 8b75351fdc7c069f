package store

import (
	"context"
	"slices"

	"github.com/gabion/gabion"
)

// AttachGroup puts the instance into the group. It refuses while the instance
// runs if stoppedOnly.
func (s *Store) AttachGroup(ctx context.Context, org, instance, group string, stoppedOnly bool) (gabion.Operation, error) {
	return s.editInstance(ctx, org, instance, "attach-instance-to-security-group", func(t *txn, i *gabion.Instance) error {
		g, err := t.attachable(i, group, stoppedOnly)
		switch {
		case err != nil:
			return err
		case slices.Contains(i.Groups, group):
			return gabion.Conflict("instance %q is in security group %q already", i.Name, g.Name)
		}
		old := *i
		i.Groups = append(slices.Clip(i.Groups), group)
		return t.roomForGroups(old, *i)
	}, groupKey(org, group), stateKey(org, instance), instanceUseKey(org, group, instance))
}

// DetachGroup takes the instance out of the group; not out of its last one, and
// not while it runs if stoppedOnly.
func (s *Store) DetachGroup(ctx context.Context, org, instance, group string, stoppedOnly bool) (gabion.Operation, error) {
	return s.editInstance(ctx, org, instance, "detach-instance-from-security-group", func(t *txn, i *gabion.Instance) error {
		g, err := t.attachable(i, group, stoppedOnly)
		if err != nil {
			return err
		}
		at := slices.Index(i.Groups, group)
		if at < 0 {
			return gabion.Conflict("instance %q is not in security group %q", i.Name, g.Name)
		}
		if len(i.Groups) == 1 {
			return gabion.Conflict("security group %q is the only one of instance %q: attach another first", g.Name, i.Name)
		}
		i.Groups = slices.Delete(i.Groups, at, at+1)
		return nil
	}, groupKey(org, group), stateKey(org, instance))
}

// attachable is the group, if the instance's groups may change now.
func (t *txn) attachable(i *gabion.Instance, group string, stoppedOnly bool) (gabion.Group, error) {
	g, err := t.group(i.Organization, group)
	if err != nil || !stoppedOnly {
		return g, err
	}
	switch state, known, err := t.state(i); {
	case err != nil:
		return g, err
	case state == gabion.Stopped:
		return g, nil
	case known:
		return g, gabion.Conflict("instance %q is %s: its security groups change only while it is stopped; stop it first", i.Name, state)
	}
	return g, gabion.Conflict("instance %q counts as running until host %q says otherwise: its security groups change only while it is stopped; see that the agent of %s is online",
		i.Name, i.Host, i.Host)
}
