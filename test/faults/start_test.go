package faults_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion/client/rest"
)

// A host that starts without a server has nothing but the agent's file: what the
// kernel knew is gone, and interfaces are made anew. Not even the first frame of one
// passes that the last policy does not admit.
func TestHostRestarts(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	traffic := s.startTraffic(t)
	restarts := times(2, 50)
	for range restarts {
		s.settled(t)
		must(t, s.server.Kill())
		s.reboot(t)
		time.Sleep(200 * time.Millisecond)
		must(t, s.server.Start(t.Context()))
	}
	traffic.stop(t)
	r.denied(traffic)
	r.say("%d restarts", restarts)

	must(t, s.server.Kill())
	s.reboot(t)
	s.awaitFlow(t)
	traffic = s.startTraffic(t)
	time.Sleep(time.Second)
	must(t, s.server.Start(t.Context()))
	churn := s.startChurn(t, 0)
	time.Sleep(time.Second)
	r.packets(traffic)
	r.converged(s, churn)
}

// reboot takes away all that a restart of h1 does, and starts the agent before the
// instances, as its unit says.
func (s *site) reboot(t *testing.T) {
	t.Helper()
	a := s.agents["h1"]
	must(t, a.Kill())
	must(t, s.victim.Unplug())
	must(t, s.neighbour.Unplug())
	must(t, os.RemoveAll(s.pins("h1")))
	flushRuleset(t, s.h1)
	must(t, a.StartAsService(t.Context()))
	must(t, s.victim.Plug())
	must(t, s.neighbour.Plug())
	await(t, "the victim's interface to be filtered", func() bool { return s.filtered(t) })
}

// awaitFlow waits until the friend reaches the victim.
func (s *site) awaitFlow(t *testing.T) {
	t.Helper()
	traffic := s.startTraffic(t)
	await(t, "the friend to reach the victim", func() bool { return traffic.streams[3].got.count() > 0 })
	traffic.close()
}

// filtered tells whether the victim's interface has its filters.
func (s *site) filtered(t *testing.T) bool {
	t.Helper()
	pins, err := filepath.Glob(filepath.Join(s.pins("h1"), "links", index(t, s.victim)+"-*"))
	must(t, err)
	return len(pins) == 2
}

// A state file that is damaged is refused; what is in force stays until the server
// tells anew.
func TestStateFileDamaged(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	traffic := s.startTraffic(t)
	churn := s.startChurn(t, 0)
	file := filepath.Join(s.agents["h1"].StateDir(), "policy.pb")
	for _, damage := range damages {
		s.settled(t)
		must(t, s.server.Kill())
		must(t, s.agents["h1"].Kill())
		good, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, damage.do(bytes.Clone(good)), 0o600))
		before := s.said(t, "the state file is of no use")
		must(t, s.agents["h1"].Start())
		await(t, damage.name+" to be refused", func() bool { return s.said(t, "the state file is of no use") > before })
		time.Sleep(200 * time.Millisecond)
		must(t, s.server.Start(t.Context()))
	}
	s.settled(t)
	r.packets(traffic)
	r.say("%d damaged files refused: cut, empty, one bit changed, of another version", len(damages))
	r.converged(s, churn)
}

var damages = []struct {
	name string
	do   func([]byte) []byte
}{
	{"a file cut in the middle", func(f []byte) []byte { return f[:len(f)/2] }},
	{"an empty file", func([]byte) []byte { return nil }},
	{"a changed bit", func(f []byte) []byte { f[rand.N(len(f))] ^= 1 << rand.N(8); return f }},
	{"another version", func(f []byte) []byte { return append([]byte("gabion state 9\n"), f[15:]...) }},
}

// said is how often the agent of h1 has said that.
func (s *site) said(t *testing.T, words string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.lab.Dir(), "h1.log"))
	must(t, err)
	return bytes.Count(text, []byte(words))
}

// An object that can't be read keeps nobody else from updates.
func TestPoison(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	raw := s.raw(t)
	organization := s.organization(t)
	rule := "gabion/o/" + organization + "/rule/" + s.groups["web"] // which the victim is in
	poisons := map[string]string{
		"gabion/o/" + organization + "/group/bad":    `{"name": 7}`,
		"gabion/o/" + organization + "/instance/bad": "\x00\xff",
		rule + "/r":             `{"direction":"sideways","protocol":"udp","network":"0.0.0.0/0"}`,
		rule + "/s":             `{"direction":"ingress","protocol":"udp","network":"0.0.0.0/0","peer":"` + s.groups["extra"] + `"}`,
		"gabion/host-status/h1": `"fine"`,
		rule + "/t":             string(make([]byte, 1<<16)),
	}
	for key, value := range poisons {
		_, err := raw.Put(t.Context(), key, value)
		must(t, err)
	}
	s.settled(t)
	time.Sleep(*lasts)
	reported := s.reported(t, poisons)
	r.say("%d values that can't be read, %d named in the server's log", len(poisons), reported)
	if reported < len(poisons)-1 { // the host's status is written anew at once
		r.Errorf("%d of %d are reported", reported, len(poisons))
	}
	_, err := s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{})
	must(t, err)
	left, err := raw.Get(t.Context(), rule+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	must(t, err)
	r.say("to replace the rules of the group deletes those that can't be read: %d are left", left.Count)
	if left.Count > 0 {
		r.Errorf("%d rules are left", left.Count)
	}
	for key := range poisons {
		_, err := raw.Delete(t.Context(), key)
		must(t, err)
	}
	r.packets(traffic)
	r.converged(s, churn)
}

// organization is the id of the only one that there is.
func (s *site) organization(t *testing.T) string {
	t.Helper()
	group := s.groups["servers"]
	found, err := s.raw(t).Get(t.Context(), "gabion/o/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	must(t, err)
	for _, kv := range found.Kvs {
		parts := bytes.Split(kv.Key, []byte("/"))
		if len(parts) == 5 && string(parts[3]) == "group" && string(parts[4]) == group {
			return string(parts[2])
		}
	}
	t.Fatal("the store has no group")
	return ""
}

// reported is how many of the keys the server has named in its log.
func (s *site) reported(t *testing.T, keys map[string]string) (n int) {
	t.Helper()
	text, err := os.ReadFile(s.server.Process().Log)
	must(t, err)
	for key := range keys {
		if bytes.Contains(text, []byte(fmt.Sprintf("key=%s ", key))) {
			n++
		}
	}
	return n
}
