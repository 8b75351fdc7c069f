package store

import (
	"encoding/json"
	"fmt"

	"github.com/gabion/gabion"
)

// addOrganizations makes schema version 2 of what a store was born with: from before
// there was more than one organization it has the name alone, and the only key in
// the place of its index. The last programs of version 1 had done so already.
func (t *txn) addOrganizations(born bootstrapRecord) error {
	index := keyIndexKey(born.Key)
	if err := t.read(index, organizationKey(born.Organization)); err != nil {
		return err
	}
	kv := t.seen[index]
	if kv == nil {
		return nil
	}
	r, err := valueOf[keyRecord](kv)
	if err != nil || r.Secret == nil {
		return err
	}
	key := gabion.Key{
		ID: born.Key, Organization: born.Organization, Name: r.Name, Scopes: []gabion.Scope{gabion.ScopeAdmin},
		Operator: r.Operator, Created: r.Created,
	}
	if err := t.put(index, holder{Organization: born.Organization}); err != nil {
		return err
	}
	if err := t.putKey(key, r.Secret); err != nil {
		return err
	}
	return t.upgradeOrganization(born.Organization, key)
}

func (t *txn) upgradeOrganization(id string, key gabion.Key) error {
	kv := t.seen[organizationKey(id)]
	if kv == nil {
		return fmt.Errorf("the organization %s that the store was born with is not there", id)
	}
	var r organizationRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	o := gabion.Organization{
		ID: id, Name: r.Name, Created: key.Created, Quotas: gabion.DefaultQuotas(), Hosts: []string{gabion.AnyHost},
	}
	if err := t.claimOrganizationName(o); err != nil {
		return err
	}
	return t.put(organizationKey(id), organizationOf(o))
}
