package store

import (
	"context"
	"time"

	"github.com/gabion/gabion"
)

var errUnbuilt = gabion.Unavailable("not there yet")

func (s *Store) ReplaceRules(context.Context, string, string, []gabion.Rule) (gabion.Operation, error) {
	return gabion.Operation{}, errUnbuilt
}
func (s *Store) Organizations(context.Context) ([]gabion.Organization, error) { return nil, errUnbuilt }
func (s *Store) Organization(context.Context, string) (gabion.Organization, error) {
	return gabion.Organization{}, errUnbuilt
}
func (s *Store) CreateOrganization(context.Context, gabion.Organization) (gabion.Operation, error) {
	return gabion.Operation{}, errUnbuilt
}
func (s *Store) UpdateOrganization(context.Context, string, func(*gabion.Organization) error) (gabion.Operation, error) {
	return gabion.Operation{}, errUnbuilt
}
func (s *Store) DeleteOrganization(context.Context, string) (gabion.Operation, error) {
	return gabion.Operation{}, errUnbuilt
}
func (s *Store) Usage(context.Context, string) (gabion.Usage, error) {
	return gabion.Usage{}, errUnbuilt
}
func (s *Store) Keys(context.Context, string) ([]gabion.Key, error) { return nil, errUnbuilt }
func (s *Store) CreateKey(context.Context, gabion.Key) (gabion.Key, error) {
	return gabion.Key{}, errUnbuilt
}
func (s *Store) RotateKey(context.Context, string, string, time.Time) (gabion.Key, error) {
	return gabion.Key{}, errUnbuilt
}
func (s *Store) DeleteKey(context.Context, string, string) (gabion.Operation, error) {
	return gabion.Operation{}, errUnbuilt
}
func (s *Store) TouchKey(context.Context, string, time.Time) error   { return errUnbuilt }
func (s *Store) CreateSession(context.Context, gabion.Session) error { return errUnbuilt }
func (s *Store) Session(context.Context, [32]byte) (gabion.Session, error) {
	return gabion.Session{}, errUnbuilt
}
func (s *Store) DeleteSession(context.Context, [32]byte) error { return errUnbuilt }
func (s *Store) Audit(context.Context, string, int64, int) ([]gabion.AuditRecord, error) {
	return nil, errUnbuilt
}
func (s *Store) Deny(context.Context, gabion.AuditEntry) error { return errUnbuilt }
