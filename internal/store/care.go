package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// care is how the embedded member is looked after: that it neither stays full nor
// dies of a full disk. etcd itself refuses changes while its alarm NOSPACE is on,
// and answers reads.
type care struct {
	every time.Duration // between two looks
	quota int64         // of the database, in bytes
	spare uint64        // bytes that the disk has to have left
}

// standard is the care of a server: etcd makes files of 64 MB for its log ahead of
// time, and a member that finds no room for one dies.
var standard = care{every: time.Second, quota: quota, spare: 96 << 20}

// carer looks after one member.
type carer struct {
	every  time.Duration
	quota  int64
	member *Embedded
	client *clientv3.Client
	log    *slog.Logger

	spare atomic.Uint64 // what the disk has to have left now
	held  int64         // bytes of the disk that the database has
	disk  bool          // we raised the alarm because of the disk
	tried time.Time     // when room was made last: that takes long
}

// notSoonAgain is how long a database that stays full is let alone.
const notSoonAgain = 10 * time.Minute

func newCarer(e *Embedded, c care, log *slog.Logger) (*carer, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Endpoint()}, Logger: zap.NewNop()})
	carer := &carer{every: c.every, quota: c.quota, member: e, client: client, log: log}
	carer.spare.Store(c.spare)
	return carer, err
}

func (c *carer) run(ctx context.Context) {
	turn := time.NewTicker(c.every)
	defer turn.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		err := c.look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			c.log.Error("the embedded store can't be looked after; trying again", "error", err)
		}
		failing = err != nil
	}
}

// look raises the alarm, or ends it, as the disk and the database are.
func (c *carer) look(ctx context.Context) error {
	room, err := c.diskHasRoom()
	if err != nil {
		return err
	}
	status, err := c.client.Status(ctx, c.member.Endpoint())
	if err != nil {
		return fmt.Errorf("ask the embedded store: %w", err)
	}
	if room {
		if err := c.reserve(status.DbSize); err != nil {
			return err
		}
	}
	full := alarmed(status)
	switch {
	case !room && !full:
		return c.raise(ctx, status.Header.MemberId)
	case !room:
		return nil
	case full && c.disk:
		return c.disarm(ctx)
	case full || status.DbSize > c.quota/4*3 && status.DbSizeInUse < status.DbSize/2:
		return c.makeRoom(ctx, full)
	}
	return nil
}

// alarmed tells whether a member refuses changes for want of room. To ask for alarms
// themselves would be a write.
func alarmed(status *clientv3.StatusResponse) bool {
	return slices.ContainsFunc(status.Errors, func(e string) bool { return strings.Contains(e, "NOSPACE") })
}

func (c *carer) diskHasRoom() (bool, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(c.member.dir, &disk); err != nil {
		return false, fmt.Errorf("look at the disk of %s: %w", c.member.dir, err)
	}
	return disk.Bavail*uint64(disk.Bsize) >= c.spare.Load(), nil
}

// reserved is how many bytes beyond its end the database's file has: a member that
// can't write a page dies, and to refuse changes takes some pages, too.
const reserved = 16 << 20

// reserve gives the database's file room that nothing else on the disk can take.
func (c *carer) reserve(size int64) error {
	if size+reserved/2 <= c.held {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(c.member.dir, "member", "snap", "db"), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("reserve room on the disk: %w", err)
	}
	defer f.Close()
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size+reserved)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // some file systems reserve nothing
		return fmt.Errorf("reserve room on the disk: %w", err)
	}
	c.held = size + reserved
	return nil
}

// raise makes etcd refuse changes before it dies of the disk.
func (c *carer) raise(ctx context.Context, member uint64) error {
	_, err := etcdserverpb.NewMaintenanceClient(c.client.ActiveConnection()).Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: etcdserverpb.AlarmType_NOSPACE,
	})
	if err != nil {
		return fmt.Errorf("raise the alarm: %w", err)
	}
	c.disk = true
	c.log.Error("the disk is nearly full: nothing can be changed until it has room again", "dir", c.member.dir, "needed", c.spare.Load())
	return nil
}

func (c *carer) disarm(ctx context.Context) error {
	if _, err := c.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("end the alarm: %w", err)
	}
	c.disk = false
	c.log.Info("the store has room again")
	return nil
}

// makeRoom drops the history of all keys and gives the room back, which no reader
// of the store minds: hosts get a snapshot. It ends the alarm if that helped.
func (c *carer) makeRoom(ctx context.Context, full bool) error {
	if time.Since(c.tried) < notSoonAgain {
		return nil
	}
	c.tried = time.Now()
	c.log.Warn("the store is nearly full of history; making room")
	status, err := c.client.Status(ctx, c.member.Endpoint())
	if err != nil {
		return fmt.Errorf("ask the embedded store: %w", err)
	}
	if _, err := c.client.Compact(ctx, status.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("compact: %w", err)
	}
	if _, err := c.client.Defragment(ctx, c.member.Endpoint()); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	c.held = 0 // it is another file
	if status, err = c.client.Status(ctx, c.member.Endpoint()); err != nil {
		return fmt.Errorf("ask the embedded store: %w", err)
	}
	switch {
	case status.DbSize > c.quota/20*19:
		c.log.Error("the store is full, and not of history: nothing can be changed", "bytes", status.DbSize, "quota", c.quota)
		return nil
	case full:
		c.tried = time.Time{}
		return c.disarm(ctx)
	}
	return nil
}
