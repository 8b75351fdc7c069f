package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// schema is the version of the layout of keys and values that this program writes.
// What an older program wrote is brought up to it when a server starts; what a newer
// one wrote is refused, because it may mean what is not understood here.
//
//	1  one organization, which has its name alone
//	2  organizations with quotas and hosts, their keys, the audit log
const schema = 2

// Schema is the version of the layout of keys and values that this program writes.
const Schema = schema

// steps bring what a store was born with from the version they are listed by to the next.
var steps = map[int]func(*txn, bootstrapRecord) error{
	1: (*txn).addOrganizations,
}

// compareSchema refuses data of a version that this program can't read.
func compareSchema(where, found string) (int, error) {
	version, err := strconv.Atoi(found)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%s has data of schema version %q, which no release writes: restore a backup into a new data directory", where, found)
	}
	if version > schema {
		return 0, fmt.Errorf("%s has data of schema version \"%d\", which a newer release wrote, and this program reads versions up to %d: run that release again, or restore a backup of before the upgrade into a new data directory",
			where, version, schema)
	}
	return version, nil
}

// checkVersion compares the version that the file names with ours. A new directory,
// or one that is about to be upgraded, gets ours.
func checkVersion(path string) error {
	content, err := os.ReadFile(path)
	version := 0
	switch {
	case err == nil:
		if version, err = compareSchema(filepath.Dir(path), string(bytes.TrimSpace(content))); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read schema version: %w", err)
	}
	if version == schema {
		return nil
	}
	if err := os.WriteFile(path, fmt.Appendln(nil, schema), 0o600); err != nil {
		return fmt.Errorf("write schema version: %w", err)
	}
	return nil
}

func (s *Store) checkSchema(ctx context.Context) error {
	kv, err := s.get(ctx, schemaKey)
	if err != nil || kv == nil {
		return err
	}
	_, err = compareSchema("the store", string(kv.Value))
	return err
}

// upgrade brings what a store was born with into the form of today.
func (t *txn) upgrade(born bootstrapRecord) error {
	kv, err := t.get(schemaKey)
	if err != nil || kv == nil {
		return err
	}
	version, err := compareSchema("the store", string(kv.Value))
	if err != nil || version == schema {
		return err
	}
	for ; version < schema; version++ {
		if err := steps[version](t, born); err != nil {
			return fmt.Errorf("upgrade the store from schema version %d: %w", version, err)
		}
	}
	return t.putSchema()
}

func (t *txn) putSchema() error {
	return t.put(schemaKey, json.RawMessage(strconv.Itoa(schema)))
}
