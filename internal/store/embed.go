package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// quota is how large the database of the embedded member may become, in bytes.
	quota = 4 << 30
	// retention is how many revisions stay readable, so that a watch can be
	// resumed; compaction runs every five minutes.
	retention = "10000"
	// maxOps bounds the operations of one transaction, and maxRequest its bytes. The
	// largest is to replace 5,000 rules, which name groups, by as many others: six
	// operations and half a kilobyte for each.
	maxOps     = 32 << 10
	maxRequest = 8 << 20
	// kept is how many changes the member holds in memory for others to catch up, which
	// a lone one has none of: a change may have megabytes. A start reads more of them
	// for a moment, those since the last snapshot. They stay rare: one that finds no
	// room on the disk ends the member.
	kept = 1
	// tick is short because a lone member waits for nobody: it elects itself
	// after at most twenty of them.
	tick     = 20 * time.Millisecond
	election = 10 * tick

	// memberName is the name of a lone member, and peerURL where nobody asks for it.
	memberName = "embedded"
	peerURL    = "unix://" + memberName

	startTimeout  = 60 * time.Second // replaying a large log takes a while
	maxSocketPath = 107              // of sockaddr_un, without its final zero
)

// Embedded is an etcd member of this process. It listens on a unix socket in
// its directory, and nowhere else.
type Embedded struct {
	etcd    *embed.Etcd
	dir     string
	lock    *os.File
	socket  string
	closing atomic.Bool // a member that is told to stop complains of it

	carer  *carer
	ignore context.CancelFunc // ends the care for the member
	left   chan struct{}      // closed when that has ended
}

// StartEmbedded runs the member that keeps its data in dir/etcd, and returns
// when it answers. A directory belongs to one process at a time.
func StartEmbedded(dir string, log *slog.Logger) (*Embedded, error) {
	return startEmbedded(dir, standard, log)
}

func startEmbedded(dir string, care care, log *slog.Logger) (*Embedded, error) {
	dir, err := filepath.Abs(filepath.Join(dir, "etcd"))
	if err != nil {
		return nil, fmt.Errorf("start embedded etcd: %w", err)
	}
	lock, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{dir: dir, lock: lock, socket: filepath.Join(dir, "client.sock")}
	if err := e.start(e.config(dir, care.quota, log)); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded etcd in %s: %w", dir, err), e.Close())
	}
	if err := e.lookAfter(care, log); err != nil {
		return nil, errors.Join(fmt.Errorf("look after embedded etcd in %s: %w", dir, err), e.Close())
	}
	return e, nil
}

func (e *Embedded) start(c *embed.Config) error {
	if len(e.socket) > maxSocketPath {
		return fmt.Errorf("the path of its socket has %d characters, more than %d: choose a shorter data directory",
			len(e.socket), maxSocketPath)
	}
	var err error
	if e.etcd, err = embed.StartEtcd(c); err != nil {
		return err
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
		return nil
	case err := <-e.etcd.Err():
		return err
	case <-time.After(startTimeout):
		return fmt.Errorf("not ready after %s", startTimeout)
	}
}

func (e *Embedded) config(dir string, quota int64, log *slog.Logger) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = dir
	c.TickMs, c.ElectionMs = uint(tick.Milliseconds()), uint(election.Milliseconds())

	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: e.socket}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	// etcd's own metrics get a socket of their own: sharing one costs every call.
	c.ListenClientHttpUrls = []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "http.sock")}}
	c.AuthToken = "" // the directory's mode is what keeps others out
	// A lone member needs no peers, but a name for itself that never changes.
	c.ListenPeerUrls = nil
	c.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Host: memberName}}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.EnableGRPCGateway = false

	c.QuotaBackendBytes = quota
	c.MaxTxnOps = maxOps
	c.MaxRequestBytes = maxRequest
	c.SnapshotCatchUpEntries = kept
	c.AutoCompactionMode = embed.CompactorModeRevision
	c.AutoCompactionRetention = retention

	c.LogLevel = "warn"
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(log, &e.closing))
	return c
}

// lookAfter has a first look, which may make room, and goes on looking.
func (e *Embedded) lookAfter(care care, log *slog.Logger) error {
	carer, err := newCarer(e, care, log)
	if err != nil {
		return err
	}
	ctx, ignore := context.WithCancel(context.Background())
	e.carer, e.ignore, e.left = carer, ignore, make(chan struct{})
	first, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = carer.look(first)
	go func() {
		defer close(e.left)
		carer.run(ctx)
	}()
	return err
}

// Endpoint is where clients reach the member.
func (e *Embedded) Endpoint() string { return "unix://" + e.socket }

// Failed yields the error of a member that stopped by itself.
func (e *Embedded) Failed() <-chan error { return e.etcd.Err() }

// Close stops the member and gives its directory free. Close its clients first:
// it waits a few seconds for those that still watch.
func (e *Embedded) Close() error {
	if e.closing.Swap(true) {
		return nil
	}
	if e.carer != nil {
		e.ignore()
		<-e.left
		_ = e.carer.client.Close() // nothing is under way
	}
	if e.etcd != nil {
		e.etcd.Close()
	}
	return e.lock.Close()
}
