package store

import (
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

// operatorRecord is what must be known of an operator's key to tell whether it is
// the last one.
type operatorRecord struct {
	Organization string    `json:"organization"`
	Expires      time.Time `json:"expires,omitzero"`
}

// retireOperators takes operators' keys off the list of those that there are. It
// refuses if none would be left that is good for something, and guards those.
func (t *txn) retireOperators(retires func(r operatorRecord, id string) bool) error {
	listed, err := t.list(operatorPrefix)
	if err != nil {
		return err
	}
	at, retired, left := now(), 0, 0
	for _, kv := range listed {
		r, err := valueOf[operatorRecord](kv)
		if err != nil {
			return err
		}
		id := strings.TrimPrefix(string(kv.Key), operatorPrefix)
		switch {
		case retires(r, id):
			retired++
			t.delete(string(kv.Key))
		case !(gabion.Key{Expires: r.Expires}).Expired(at):
			left++
			t.saw(string(kv.Key), []*mvccpb.KeyValue{kv})
		}
	}
	if retired > 0 && left == 0 {
		return gabion.Conflict("nobody could administer hosts and organizations any more: make another operator's key first")
	}
	return nil
}
