package store

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// SaveSnapshot writes everything that the member has at one moment, as etcd does:
// its database, and the SHA-256 of that. The member goes on meanwhile.
func SaveSnapshot(ctx context.Context, m *Member, to io.Writer) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{m.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		return fmt.Errorf("take snapshot of the store: %w", err)
	}
	defer client.Close()
	from, err := client.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("take snapshot of the store: %w", classed(err, "ask for it"))
	}
	defer from.Close()
	if _, err := io.Copy(to, from); err != nil {
		return fmt.Errorf("take snapshot of the store: %w", err)
	}
	return nil
}

// RestoreSnapshot makes the member's data in dir/etcd, which must not be there, out
// of a snapshot. etcd compares its checksum. Call RenewEpoch before a server
// serves it.
func RestoreSnapshot(path, dir string) error {
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        path,
		Name:                memberName,
		OutputDataDir:       filepath.Join(dir, "etcd"),
		PeerURLs:            []string{peerURL},
		InitialCluster:      memberName + "=" + peerURL,
		InitialClusterToken: "gabion",
	})
	if err != nil {
		return fmt.Errorf("restore snapshot of the store: %w", err)
	}
	return nil
}
