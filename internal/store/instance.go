package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type instanceRecord struct {
	Name      string            `json:"name"`
	Host      string            `json:"host,omitempty"`
	Groups    []string          `json:"groups"`
	NICs      []nicRecord       `json:"nics,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Protected bool              `json:"protected,omitempty"`
	Created   time.Time         `json:"created"`
}

type nicRecord struct {
	Interface string       `json:"interface"`
	MAC       string       `json:"mac"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Managed   bool         `json:"managed,omitempty"`
}

func instanceOf(i gabion.Instance) instanceRecord {
	r := instanceRecord{
		Name: i.Name, Host: i.Host, Groups: i.Groups, Labels: i.Labels, Protected: i.Protected, Created: i.Created,
	}
	for _, n := range i.NICs {
		r.NICs = append(r.NICs, nicRecord{n.Interface, n.MAC.String(), n.Addresses, n.Managed})
	}
	return r
}

func decodeInstance(kv *mvccpb.KeyValue) (gabion.Instance, error) {
	i, err := unmarshalInstance(kv)
	if err == nil {
		err = i.Validate()
	}
	if err != nil {
		return gabion.Instance{}, damaged(kv, err)
	}
	return i, nil
}

func unmarshalInstance(kv *mvccpb.KeyValue) (gabion.Instance, error) {
	var r instanceRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.Instance{}, err
	}
	at := placeOf(kv.Key)
	i := gabion.Instance{
		ID: at.rest, Organization: at.org, Name: r.Name, Host: r.Host,
		Groups: r.Groups, Labels: r.Labels, Protected: r.Protected, Created: r.Created,
	}
	for _, n := range r.NICs {
		mac, err := gabion.ParseMAC("mac", n.MAC)
		if err != nil {
			return gabion.Instance{}, err
		}
		i.NICs = append(i.NICs, gabion.NIC{Interface: n.Interface, MAC: mac, Addresses: n.Addresses, Managed: n.Managed})
	}
	return i, nil
}

// clone is a copy that can be changed without changing i.
func clone(i gabion.Instance) gabion.Instance {
	i.Groups, i.NICs, i.Labels = slices.Clone(i.Groups), slices.Clone(i.NICs), maps.Clone(i.Labels)
	for n := range i.NICs {
		i.NICs[n].Addresses = slices.Clone(i.NICs[n].Addresses)
	}
	return i
}

// Instances are the instances of the organization, in order of creation.
func (s *Store) Instances(ctx context.Context, org string) ([]gabion.Instance, error) {
	return all(ctx, s, orgKey(org, "instance", ""), decodeInstance)
}

// Instance is one instance.
func (s *Store) Instance(ctx context.Context, org, id string) (gabion.Instance, error) {
	return one(ctx, s, "instance", id, instanceKey(org, id), decodeInstance)
}

func (t *txn) instance(org, id string) (gabion.Instance, error) {
	return object(t, "instance", id, instanceKey(org, id), decodeInstance)
}

// CreateInstance stores a new instance. It gets an id if it has none, and the
// primary group if it names no group.
func (s *Store) CreateInstance(ctx context.Context, i gabion.Instance) (gabion.Operation, error) {
	if i.ID == "" {
		i.ID = uuid.NewString()
	}
	i.Created = now()
	if !isID(i.ID) {
		return gabion.Operation{}, gabion.Invalid("id", "%q is not an id", i.ID)
	}
	if err := i.Validate(); err != nil {
		return gabion.Operation{}, err
	}
	return s.change(ctx, creating(i), func(t *txn) error {
		i := clone(i)
		if err := t.roomForInstance(i.Organization); err != nil {
			return err
		}
		if err := t.requireNew("instance", i.ID, instanceKey(i.Organization, i.ID)); err != nil {
			return err
		}
		if len(i.Groups) == 0 {
			primary, err := t.primaryGroup(i.Organization)
			if err != nil {
				return err
			}
			i.Groups = []string{primary}
		}
		return t.replaceInstance(gabion.Instance{}, i)
	})
}

// creating is the command that creates the instance.
func creating(i gabion.Instance) command {
	return command{
		org: i.Organization, name: "create-instance", kind: instanceKind, subject: i.ID,
		reads:  append(keysOf(&i, heldBy(&i)), instanceKey(i.Organization, i.ID), primaryKey(i.Organization)),
		counts: []string{instancesOf(i.Organization)},
	}
}

// ofInstance is a command on an instance that exists.
func ofInstance(org, name, id string, reads ...string) command {
	return command{org: org, name: name, kind: instanceKind, subject: id, reads: append(reads, instanceKey(org, id))}
}

// replaceInstance stores i in the place of old, with all that the two differ in
// of what they hold: groups, interfaces, MACs and addresses.
func (t *txn) replaceInstance(old, i gabion.Instance) error {
	before, after := heldBy(&old), heldBy(&i)
	if err := t.read(keysOf(&i, after)...); err != nil {
		return err
	}
	if err := t.roomForGroups(old, i); err != nil {
		return err
	}
	for key := range before {
		if _, keeps := after[key]; !keeps {
			t.delete(key)
		}
	}
	for _, group := range i.Groups {
		if !slices.Contains(old.Groups, group) {
			if _, err := t.group(i.Organization, group); err != nil {
				return err
			}
		}
	}
	if err := t.requirePlace(old, i); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if _, had := before[key]; had {
			continue
		}
		if err := t.hold(key, after[key], i.Organization); err != nil {
			return err
		}
	}
	t.after = instanceSaid(i)
	return t.put(instanceKey(i.Organization, i.ID), instanceOf(i))
}

// requirePlace refuses a host that the organization may not use, before anything
// is said of whether there is such a host; and one that there is not. Who may not
// use a host any more gets no new interfaces on it either.
func (t *txn) requirePlace(old, i gabion.Instance) error {
	if i.Host == "" || i.Host == old.Host && reflect.DeepEqual(i.NICs, old.NICs) {
		return nil
	}
	o, err := t.organization(i.Organization)
	if err != nil {
		return err
	}
	if !o.MayUse(i.Host) {
		return gabion.Forbidden("host: organization %q may not place instances on host %q: name one that it may, or ask your operator for it", o.Name, i.Host)
	}
	return t.requireHost(i.Host)
}

// keysOf are the keys that replaceInstance asks for, so that they are read in one go.
func keysOf(i *gabion.Instance, holds map[string]held) []string {
	keys := slices.Sorted(maps.Keys(holds))
	for _, group := range i.Groups {
		keys = append(keys, groupKey(i.Organization, group))
	}
	if i.Host != "" {
		keys = append(keys, hostKey(i.Host))
	}
	return keys
}

// held is what an instance holds of the things that have keys of their own.
type held struct {
	holder
	what string // for messages; empty if many may hold it
}

func heldBy(i *gabion.Instance) map[string]held {
	org, all := i.Organization, map[string]held{}
	own := holder{ID: i.ID}
	for _, group := range i.Groups {
		all[instanceUseKey(org, group, i.ID)] = held{}
	}
	if i.Host != "" {
		all[hostInstanceKey(i.Host, i.ID)] = held{holder: holder{Organization: org}}
	}
	for _, n := range i.NICs {
		all[interfaceKey(i.Host, n.Interface)] = held{
			holder{ID: i.ID, Organization: org},
			fmt.Sprintf("interface %s of host %s", n.Interface, i.Host),
		}
		all[macKey(org, n.MAC)] = held{own, "MAC " + n.MAC.String()}
		for _, a := range n.Addresses {
			all[addressKey(org, a)] = held{own, "address " + a.String()}
		}
	}
	return all
}

func (t *txn) hold(key string, h held, org string) error {
	if h.what == "" {
		return t.put(key, h.holder)
	}
	return t.claim(key, h.holder, func(other holder) error {
		if other.Organization != "" && other.Organization != org {
			return gabion.Conflict("%s is taken", h.what)
		}
		return gabion.Conflict("%s is taken by instance %q (%s)", h.what, t.nameOf(instanceKey(org, other.ID)), other.ID)
	})
}

// editInstance changes an instance that exists, as edit says.
func (s *Store) editInstance(ctx context.Context, org, id, name string, edit func(*txn, *gabion.Instance) error, reads ...string) (gabion.Operation, error) {
	return s.change(ctx, ofInstance(org, name, id, reads...), func(t *txn) error {
		old, err := t.instance(org, id)
		if err != nil {
			return err
		}
		i := clone(old)
		if err := edit(t, &i); err != nil {
			return err
		}
		i.ID, i.Organization, i.Created = old.ID, old.Organization, old.Created
		if err := i.Validate(); err != nil {
			return err
		}
		if len(i.Groups) == 0 {
			return gabion.Conflict("instance %q would be left without a security group: attach another first", i.Name)
		}
		if i.Host != old.Host {
			t.delete(stateKey(org, id)) // its new host says how it is there
		}
		t.before = instanceSaid(old)
		return t.replaceInstance(old, i)
	})
}

// UpdateInstance changes what change changes. It may call change more than
// once, each time with the instance as it is then.
func (s *Store) UpdateInstance(ctx context.Context, org, id string, change func(*gabion.Instance) error) (gabion.Operation, error) {
	return s.editInstance(ctx, org, id, "update-instance", func(_ *txn, i *gabion.Instance) error { return change(i) })
}

// DeleteInstance deletes an instance and gives free what it holds.
func (s *Store) DeleteInstance(ctx context.Context, org, id string) (gabion.Operation, error) {
	return s.change(ctx, ofInstance(org, "delete-instance", id), func(t *txn) error {
		i, err := t.instance(org, id)
		if err != nil {
			return err
		}
		if i.Protected {
			return gabion.Conflict("instance %q is protected from deletion: remove the protection first", i.Name)
		}
		t.before = instanceSaid(i)
		for key := range heldBy(&i) {
			t.delete(key)
		}
		t.delete(stateKey(org, id))
		t.delete(instanceKey(org, id))
		return nil
	})
}
