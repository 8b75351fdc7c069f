package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// auditRecord has the entry as it was hashed: JSON without spaces, byte for byte.
type auditRecord struct {
	Entry    json.RawMessage `json:"entry"`
	Previous string          `json:"previous"`
	Hash     string          `json:"hash"`
}

// auditHead is where a log ends.
type auditHead struct {
	Sequence int64  `json:"sequence"`
	Hash     string `json:"hash"`
}

func decodeHead(kv *mvccpb.KeyValue) (auditHead, error) {
	if kv == nil {
		return auditHead{Hash: gabion.AuditGenesis}, nil
	}
	var h auditHead
	if err := json.Unmarshal(kv.Value, &h); err != nil {
		return auditHead{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return h, nil
}

// decodeAudit reads a record. One that is not what was written comes back as far as
// it can be read, so that VerifyAudit finds it.
func decodeAudit(kv *mvccpb.KeyValue) gabion.AuditRecord {
	record := gabion.AuditRecord{Revision: kv.CreateRevision}
	var stored auditRecord
	if json.Unmarshal(kv.Value, &stored) != nil {
		record.Content = string(kv.Value)
	} else {
		record.Content, record.Previous, record.Hash = string(stored.Entry), stored.Previous, stored.Hash
		_ = json.Unmarshal(stored.Entry, &record.AuditEntry)
	}
	// What its key says: an entry that says otherwise does not belong there.
	_, _ = fmt.Sscanf(placeOf(kv.Key).rest, "%d", &record.Sequence)
	return record
}

// recordChange writes what the change does into its log.
func (t *txn) recordChange(c command, op gabion.Operation, actor gabion.Actor) error {
	before, err := words(t.before)
	if err != nil {
		return err
	}
	after, err := words(t.after)
	if err != nil {
		return err
	}
	e := entryBy(actor, c.name, c.subject)
	e.Time, e.Operation, e.Before, e.After = op.Created, op.ID, before, after
	return t.record(c.org, e)
}

// entryBy is what a log says of what the actor does now.
func entryBy(actor gabion.Actor, action, subject string) gabion.AuditEntry {
	e := gabion.AuditEntry{
		Time: now(), Request: actor.Request, Key: actor.Key, KeyName: actor.KeyName, Action: action, Subject: subject,
	}
	if actor.Remote.IsValid() {
		e.Remote = actor.Remote.String()
	}
	return e
}

// record appends entries to a log. Its head is read and written by all who do.
func (t *txn) record(log string, entries ...gabion.AuditEntry) error {
	kv, err := t.get(auditHeadKey(log))
	if err != nil {
		return err
	}
	head, err := decodeHead(kv)
	if err != nil {
		return err
	}
	for _, e := range entries {
		for _, text := range []*string{&e.Request, &e.Key, &e.KeyName, &e.Remote, &e.Action, &e.Subject, &e.Message} {
			*text = shortened(*text)
		}
		e.Sequence, e.Log = head.Sequence+1, log
		content, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode audit record: %w", err)
		}
		hash := gabion.AuditHash(head.Hash, string(content))
		if err := t.put(auditKey(log, e.Sequence), auditRecord{Entry: content, Previous: head.Hash, Hash: hash}); err != nil {
			return err
		}
		head = auditHead{Sequence: e.Sequence, Hash: hash}
	}
	return t.put(auditHeadKey(log), head)
}

// mostText is how many bytes a record has for a text: some are what a stranger sent.
const mostText = 1024

func shortened(text string) string {
	if len(text) <= mostText {
		return text
	}
	return strings.ToValidUTF8(text[:mostText], "") + "…"
}

// Audit is a page of a log, newest first, of records before the sequence number; 0:
// the newest.
func (s *Store) Audit(ctx context.Context, log string, before int64, limit int) ([]gabion.AuditRecord, error) {
	if !isID(log) {
		return nil, gabion.NotFound("audit log", log)
	}
	if before == 0 {
		s.denials.settle(ctx) // so that nobody misses what he has just seen refused
		before = math.MaxInt64
	}
	kv, err := s.get(ctx, auditHeadKey(log))
	if err != nil {
		return nil, err
	}
	head, err := decodeHead(kv)
	if err != nil {
		return nil, err
	}
	return s.auditPage(ctx, log, min(before, head.Sequence+1), limit)
}

// auditPage finds the page by its keys: there is no gap between them.
func (s *Store) auditPage(ctx context.Context, log string, before int64, limit int) ([]gabion.AuditRecord, error) {
	from := max(1, before-int64(limit))
	if limit < 1 || before <= from {
		return nil, nil
	}
	reply, err := answer(ctx, s, func(ctx context.Context, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, auditKey(log, from), append(options, clientv3.WithRange(auditKey(log, before)),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))...)
	})
	if err != nil {
		return nil, classed(err, "read audit log")
	}
	records := make([]gabion.AuditRecord, len(reply.Kvs))
	for i, kv := range reply.Kvs {
		records[i] = decodeAudit(kv)
	}
	return records, nil
}
