package feed_test

import (
	"context"
	"maps"
)

// SaveCounters, HostCounters and Counters make the memory an archive.
func (m *memory) SaveCounters(_ context.Context, host string, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters == nil {
		m.counters = map[string][]byte{}
	}
	m.counters[host] = record
	return nil
}

func (m *memory) HostCounters(_ context.Context, host string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters[host], nil
}

func (m *memory) Counters(context.Context) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counters), nil
}
