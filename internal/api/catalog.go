package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// What the public API's clients ask for and Gabion has no use for: one entry
// each, the same in every installation, that decides nothing.

// diskSize of every instance, in GiB: the smallest that clients accept.
const diskSize = 10

var instanceType = openapi.InstanceType{
	ID:     "6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b01",
	Family: "standard", Size: "small",
	Cpus: 2, Memory: 2 << 30, Authorized: true,
}

var template = openapi.Template{
	ID:          "6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b02",
	Name:        "Any",
	Description: "What runs on an instance is its owner's matter",
	Family:      "any",
	Visibility:  openapi.TemplateVisibilityPublic,
	CreatedAt:   time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
	Size:        10 << 30,
	BootMode:    openapi.Uefi,
	DefaultUser: "root",
}

// What they ask to be changed and Gabion doesn't keep is accepted. Each is one
// operation, the same for everybody and on every server, also for who asks for it later.
var (
	sshKeyRegistered  = accepted("register-ssh-key")
	sshKeyDeleted     = accepted("delete-ssh-key")
	reverseDNSDeleted = accepted("delete-reverse-dns-instance")

	allAccepted = []openapi.Operation{sshKeyRegistered, sshKeyDeleted, reverseDNSDeleted}
)

// acceptedSpace is where the ids of those operations come from.
var acceptedSpace = uuid.MustParse("6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b04")

func accepted(command string) openapi.Operation {
	return openapi.Operation{
		ID: uuid.NewSHA1(acceptedSpace, []byte(command)).String(), State: openapi.Success,
		Reference: openapi.OperationReference{Command: command},
	}
}

// ListInstanceTypes answers the one instance type.
func (a *api) ListInstanceTypes(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, openapi.InstanceTypeList{InstanceTypes: []openapi.InstanceType{instanceType}})
}

// GetInstanceType answers the one instance type.
func (a *api) GetInstanceType(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(context.Context, string) (any, error) {
		if id != instanceType.ID {
			return nil, gabion.NotFound("instance type", id)
		}
		return instanceType, nil
	})
}

// ListTemplates answers the one template.
func (a *api) ListTemplates(w http.ResponseWriter, r *http.Request, params openapi.ListTemplatesParams) {
	a.show(w, r, func(context.Context, string) (any, error) {
		list := openapi.TemplateList{Templates: []openapi.Template{}}
		switch params.Visibility {
		case openapi.ListTemplatesParamsVisibilityPrivate:
			return list, nil
		case openapi.ListTemplatesParamsVisibilityPublic, "":
		default:
			return nil, gabion.Invalid("visibility", "%q is neither; write private or public", params.Visibility)
		}
		if params.Family == "" || params.Family == template.Family {
			list.Templates = append(list.Templates, template)
		}
		return list, nil
	})
}

// GetTemplate answers the one template.
func (a *api) GetTemplate(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(context.Context, string) (any, error) {
		if id != template.ID {
			return nil, gabion.NotFound("template", id)
		}
		return template, nil
	})
}

// ListSSHKeys answers that none are kept.
func (a *api) ListSSHKeys(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, openapi.SSHKeyList{SSHKeys: []openapi.SSHKey{}})
}

// RegisterSSHKey accepts a key and forgets it.
func (a *api) RegisterSSHKey(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(context.Context, string) (any, error) {
		var body openapi.RegisterSSHKeyRequest
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		if err := gabion.ValidateName("name", body.Name); err != nil {
			return nil, err
		}
		if body.PublicKey == "" {
			return nil, gabion.Invalid("public-key", "is missing; give the key")
		}
		return sshKeyRegistered, nil
	})
}

// GetSSHKey answers every name: who has just registered a key finds it.
func (a *api) GetSSHKey(w http.ResponseWriter, r *http.Request, name string) {
	a.show(w, r, func(context.Context, string) (any, error) {
		return openapi.SSHKey{Name: name}, gabion.ValidateName("name", name)
	})
}

// DeleteSSHKey accepts what is so already.
func (a *api) DeleteSSHKey(w http.ResponseWriter, _ *http.Request, _ string) {
	respond(w, http.StatusOK, sshKeyDeleted)
}

// GetReverseDNSInstance answers that none is kept.
func (a *api) GetReverseDNSInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.refuse(w, r, gabion.NotFound("reverse DNS of instance", id))
}

// DeleteReverseDNSInstance accepts what is so already.
func (a *api) DeleteReverseDNSInstance(w http.ResponseWriter, _ *http.Request, _ string) {
	respond(w, http.StatusOK, reverseDNSDeleted)
}

// zoneSpace is where zones' ids come from: one name, one id, on every server.
var zoneSpace = uuid.MustParse("6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b03")

// ListZones answers the one zone. Its endpoint is the address that the caller
// reached us by: the one that surely works.
func (a *api) ListZones(w http.ResponseWriter, r *http.Request) {
	endpoint := reached(r) + Base
	respond(w, http.StatusOK, openapi.ZoneList{Zones: []openapi.Zone{{
		ID:          uuid.NewSHA1(zoneSpace, []byte(a.Zone)).String(),
		Name:        a.Zone,
		APIEndpoint: endpoint,
		SosEndpoint: endpoint,
	}}})
}

// reached is how the caller reached us. Who came without TLS to an address of
// loopback came to the listener for that; with any other name, through a proxy
// in front of it, which speaks TLS.
func reached(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if address, err := netip.ParseAddr(host); r.TLS == nil && err == nil && address.IsLoopback() {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}
