package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

// errDamaged marks a value that can't be read.
var errDamaged = errors.New("the value can't be read")

// damaged is the error of a value that can't be read. It is not the caller's: what
// it says of a field is not said of the request.
func damaged(kv *mvccpb.KeyValue, err error) error {
	return fmt.Errorf("decode %s: %w: %s", kv.Key, errDamaged, err.Error())
}

// deleteDamaged deletes rules that can't be read. They can't tell what they hold: that
// is looked for, but for what rules hold that take their place.
func (t *txn) deleteDamaged(org, group string, ids []string, heirs []gabion.Rule) error {
	if len(ids) == 0 {
		return nil
	}
	inherited := map[string]bool{}
	for i := range heirs {
		inherited[equalRuleKey(org, group, heirs[i].Key())] = true
	}
	claims, err := t.list(equalRuleKey(org, group, ""))
	if err != nil {
		return err
	}
	for _, kv := range claims {
		h, err := valueOf[holder](kv)
		if err == nil && slices.Contains(ids, h.ID) && !inherited[string(kv.Key)] {
			t.delete(string(kv.Key))
		}
	}
	for _, id := range ids {
		t.delete(ruleKey(org, group, id))
	}
	return t.releaseDamaged(org, group, ids)
}

// releaseDamaged gives free the groups that rules named before they became unreadable.
func (t *txn) releaseDamaged(org, group string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	uses, err := t.list(orgKey(org, "use", ""))
	if err != nil {
		return err
	}
	for _, kv := range uses {
		_, user, _ := strings.Cut(placeOf(kv.Key).rest, "/")
		id, is := strings.CutPrefix(user, "rule/"+group+"/")
		if is && slices.Contains(ids, id) {
			t.delete(string(kv.Key))
		}
	}
	return nil
}
