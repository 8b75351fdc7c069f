package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gabion/gabion/internal/atomicfile"
	"github.com/gabion/gabion/internal/store"
)

// Backup writes everything that must survive the loss of a data directory into one
// file, which only its owner can read: the embedded store as it is at one moment,
// and the installation's keys. A server that runs on the directory goes on.
func Backup(ctx context.Context, dataDir, file, version string, log *slog.Logger) (Manifest, error) {
	m, err := store.OpenMember(dataDir, log)
	if err != nil {
		return Manifest{}, err
	}
	manifest, err := backup(ctx, m, dataDir, file, version)
	return manifest, errors.Join(err, m.Close())
}

func backup(ctx context.Context, m *store.Member, dataDir, file, version string) (Manifest, error) {
	snapshot, err := temporary(file)
	if err != nil {
		return Manifest{}, err
	}
	defer os.Remove(snapshot.Name())
	if err := errors.Join(store.SaveSnapshot(ctx, m, snapshot), snapshot.Close()); err != nil {
		return Manifest{}, err
	}
	paths := map[string]string{snapshotFile: snapshot.Name()}
	for _, name := range keyFiles {
		paths[name] = filepath.Join(dataDir, name)
	}
	manifest := Manifest{Format: archiveFormat, Schema: store.Schema, Version: version, Created: time.Now().UTC().Truncate(time.Second)}
	for _, name := range append([]string{snapshotFile}, keyFiles...) {
		fact, err := factOf(name, paths[name])
		if err != nil {
			return manifest, fmt.Errorf("read what to back up: %w", err)
		}
		manifest.Files = append(manifest.Files, fact)
	}
	if err := atomicfile.Fill(file, 0o600, func(to io.Writer) error { return writeArchive(to, manifest, paths) }); err != nil {
		return manifest, fmt.Errorf("write backup: %w", err)
	}
	return manifest, nil
}

// temporary is a file beside another, for its owner alone.
func temporary(beside string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(beside), "."+filepath.Base(beside)+"-*")
	if err != nil {
		return nil, fmt.Errorf("write beside the backup: %w", err)
	}
	return f, nil
}

// restoring is where a restore works: what is there is not the store yet.
const restoring = ".restoring"

// Restore makes a data directory, which must be new or empty, out of a backup. The
// store begins a new epoch, so that hosts take its policy although they may know a
// newer one. No server of the installation may run meanwhile.
func Restore(ctx context.Context, dataDir, file string, log *slog.Logger) (m Manifest, err error) {
	from, err := os.Open(file)
	if err != nil {
		return m, fmt.Errorf("read backup: %w", err)
	}
	defer from.Close()
	if err := makeEmptyDir(dataDir); err != nil {
		return m, err
	}
	work := filepath.Join(dataDir, restoring)
	if err := os.Mkdir(work, 0o700); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	if m, err = readArchive(from, work); err != nil {
		return m, fmt.Errorf("read backup %s: %w", file, err)
	}
	if err := restore(ctx, work, log); err != nil {
		return m, err
	}
	return m, putInPlace(work, dataDir)
}

// restore makes the store in the directory that the backup was unpacked into.
func restore(ctx context.Context, work string, log *slog.Logger) error {
	snapshot := filepath.Join(work, snapshotFile)
	if err := store.RestoreSnapshot(snapshot, work); err != nil {
		return err
	}
	if err := os.Remove(snapshot); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return RenewEpoch(ctx, Config{DataDir: work, Log: log})
}

// makeEmptyDir makes a directory, or takes one with nothing in it: what would be
// overwritten may be all that is left of a store.
func makeEmptyDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	found, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("look into data directory: %w", err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%s is not empty (it has %s): name a new directory, or move that one away", path, found[0].Name())
	}
	return nil
}

// putInPlace moves everything where servers look for it, the store last: without it
// a server finds no installation of this kind.
func putInPlace(work, dataDir string) error {
	for _, name := range append(keyFiles[:len(keyFiles):len(keyFiles)], "etcd") {
		if err := os.Rename(filepath.Join(work, name), filepath.Join(dataDir, name)); err != nil {
			return fmt.Errorf("put %s in place: %w", name, err)
		}
	}
	if err := os.Chmod(filepath.Join(dataDir, keyFiles[0]), fs.FileMode(0o644)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(os.Remove(work), atomicfile.SyncDir(dataDir))
}
