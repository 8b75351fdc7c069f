package store_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/gabion/gabion"
)

// runMember is one member of a cluster. Its argument names a directory, the
// member's number and the addresses of all peers. It says "ready".
func runMember(argument string) {
	fields := strings.Fields(argument)
	e, err := embed.StartEtcd(memberConfig(fields[0], fields[1], fields[2:]))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-e.Server.ReadyNotify()
	fmt.Println("ready")
	fmt.Println(<-e.Err())
}

func memberConfig(dir, number string, peers []string) *embed.Config {
	c := embed.NewConfig()
	c.Name, c.Dir, c.LogLevel = "m"+number, filepath.Join(dir, "data"+number), "panic"
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "c"+number)}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	var initial []string
	for n, peer := range peers {
		at := []url.URL{{Scheme: "http", Host: peer}}
		name := fmt.Sprint("m", n)
		initial = append(initial, name+"="+at[0].String())
		if name == c.Name {
			c.ListenPeerUrls, c.AdvertisePeerUrls = at, at
		}
	}
	c.InitialCluster = strings.Join(initial, ",")
	return c
}

// cluster is an etcd of three processes.
type cluster struct {
	t         *testing.T
	dir       string
	peers     []string
	members   []*exec.Cmd
	endpoints []string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	for n := range 3 {
		c.peers = append(c.peers, freeAddress(t))
		c.endpoints = append(c.endpoints, "unix://"+filepath.Join(c.dir, fmt.Sprint("c", n)))
	}
	c.members = make([]*exec.Cmd, 3)
	var ready []*bufio.Scanner
	for n := range c.members {
		ready = append(ready, c.start(n))
	}
	for _, lines := range ready {
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("a member did not start: %s", lines.Text())
		}
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			kill(m)
		}
	})
	return c
}

// start runs a member; what is returned yields what it says.
func (c *cluster) start(n int) *bufio.Scanner {
	c.t.Helper()
	argument := append([]string{c.dir, fmt.Sprint(n)}, c.peers...)
	cmd, lines := spawn(c.t, "GABION_TEST_MEMBER", strings.Join(argument, " "))
	c.members[n] = cmd
	return lines
}

// leader is the number of the member that leads.
func (c *cluster) leader() int {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.endpoints, Logger: zap.NewNop()})
	must(c.t, err)
	defer client.Close()
	for n, endpoint := range c.endpoints {
		if s, err := client.Status(c.t.Context(), endpoint); err == nil && s.Leader == s.Header.MemberId {
			return n
		}
	}
	c.t.Fatal("nobody leads")
	return 0
}

// freeAddress is one on this host that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestWritesResumeWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	w := &world{t: t}
	w.Store = connectTo(t, c.endpoints, t.TempDir(), w.log())
	var err error
	w.org, _, err = w.Bootstrap(t.Context())
	must(t, err)
	snapshot, err := w.Snapshot(t.Context())
	must(t, err)
	events := w.Watch(t.Context(), snapshot.Change.Revision)

	var last gabion.Operation
	for round := range 2 {
		dead := c.leader()
		kill(c.members[dead])
		begin := time.Now()
		last = w.persist(fmt.Sprint("round", round))
		took := time.Since(begin)
		t.Logf("writes resumed after %s", took)
		if took > most {
			t.Errorf("that is more than %s", most)
		}
		if lines := c.start(dead); !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("the member did not come back: %s", lines.Text())
		}
	}
	p := pictureOf(snapshot)
	for _, e := range until(t, events, last.Revision) {
		p.apply(e)
	}
	fresh, err := w.Snapshot(t.Context())
	must(t, err)
	if diff := pictureOf(fresh).diff(p); diff != "" {
		t.Error(diff)
	}
}

// persist creates a group, however often it is told to try again.
func (w *world) persist(name string) gabion.Operation {
	w.t.Helper()
	for n := 0; ; n++ {
		op, err := w.CreateGroup(w.t.Context(), gabion.Group{Organization: w.org, Name: fmt.Sprint(name, n)})
		if err == nil {
			return op
		}
		refused(w.t, err, gabion.CodeUnavailable)
	}
}

func TestLostQuorumIsSaid(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	w := &world{t: t}
	w.Store = connectTo(t, c.endpoints, t.TempDir(), w.log())
	var err error
	w.org, _, err = w.Bootstrap(t.Context())
	must(t, err)
	kill(c.members[0])
	kill(c.members[1])
	begin := time.Now()
	refused(t, only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"})), gabion.CodeUnavailable)
	if took := time.Since(begin); took > most {
		t.Errorf("that took %s", took)
	}
	c.start(0)
	w.persist("web")
}
