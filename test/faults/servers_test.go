package faults_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/internal/lab"
)

// Of two servers on one etcd cluster one is killed, now the one, now the other: agents
// go to the one that is left, and what is changed there is enforced.
func TestServerOfTwoKilled(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	second := s.startTwo(t)
	traffic := s.startTraffic(t)
	both := s.client
	var moved []time.Duration
	kills := times(2, 40)
	for n := range kills {
		if n%2 == 0 {
			must(t, s.server.Kill())
			s.connectTo(t, second.api)
			moved = append(moved, s.settled(t))
			must(t, s.server.Start(t.Context()))
			s.client = both
		} else {
			must(t, second.process.Kill())
			moved = append(moved, s.settled(t))
			second.start(t)
		}
	}
	churn := s.startChurn(t, 20)
	churn.wait(t)
	r.packets(traffic)
	r.say("%d kills", kills)
	r.within("a change at the server that is left is enforced by all at most", quantile(moved, 1), 30*time.Second)
	r.converged(s, churn)
}

// startTwo starts the site with two servers on one etcd cluster.
func (s *site) startTwo(t *testing.T) (second *secondServer) {
	t.Helper()
	here := s.lab.ManagementAddress()
	second = &secondServer{site: s, api: netip.AddrPortFrom(here, 8543), agents: netip.AddrPortFrom(here, 8544)}
	s.agentArgs = []string{"--server", second.agents.String()}
	s.startOn(t, 3, 0)
	second.start(t)
	return second
}

// secondServer is another server of the site's etcd.
type secondServer struct {
	site    *site
	agents  netip.AddrPort
	api     netip.AddrPort
	process *lab.Process
}

// start starts it with the keys of the first one, and waits until it is ready.
func (o *secondServer) start(t *testing.T) {
	t.Helper()
	dir := filepath.Join(o.site.lab.Dir(), "second")
	must(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"ca.pem", "ca.key", "secret"} {
		content, err := os.ReadFile(filepath.Join(o.site.server.Dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	var err error
	o.process, err = o.site.lab.Start(nil, "second", program, "server", "--data-dir", dir, "--listen", o.api.String(),
		"--agent-listen", o.agents.String(), "--group-changes", "live", "--rate-limit", "0",
		"--etcd-endpoints", strings.Join(o.site.endpoints, ","))
	must(t, err)
	await(t, "the second server to be ready", func() bool { return o.ready() == nil })
}

func (o *secondServer) ready() error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := client.Get("https://" + o.api.String() + "/readyz")
	if err != nil {
		return err
	}
	resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// connectTo makes the site's client one of another server.
func (s *site) connectTo(t *testing.T, api netip.AddrPort) {
	t.Helper()
	s.client = s.clientWith(t, func(c *client.Config) { c.Endpoint = fmt.Sprintf("https://%s/v2", api) })
}
