package server

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/store"
)

// A backup is a tar file: first a manifest, then what that lists, in its order. It
// is not encrypted, and holds the installation's keys.

const (
	manifestFile = "manifest.json"
	snapshotFile = "store.snapshot"
	maxManifest  = 1 << 20
	maxKeyFile   = 1 << 20
	// archiveFormat is the version of the manifest and of what it lists.
	archiveFormat = 1
)

// keyFiles are what a backup has beside the snapshot.
var keyFiles = []string{pki.CAFile, caKeyFile, secretFile}

// Manifest says what is in a backup.
type Manifest struct {
	Format  int            `json:"format"`
	Schema  int            `json:"schema"`  // of the store
	Version string         `json:"version"` // of the program that made it, for people
	Created time.Time      `json:"created"`
	Files   []manifestFact `json:"files"`
}

type manifestFact struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// factOf is what a manifest says of a file.
func factOf(name, path string) (manifestFact, error) {
	f, err := os.Open(path)
	if err != nil {
		return manifestFact{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return manifestFact{name, size, hex.EncodeToString(sum.Sum(nil))}, err
}

// check refuses a backup that this program can't restore whole.
func (m *Manifest) check() error {
	want := append([]string{snapshotFile}, keyFiles...)
	switch {
	case m.Format != archiveFormat:
		return fmt.Errorf("it is of format %d, and this program reads format %d: restore it with the release that made it (%s)", m.Format, archiveFormat, m.Version)
	case m.Schema > store.Schema:
		return fmt.Errorf("its store is of schema version %d, and this program reads versions up to %d: restore it with the release that made it (%s)", m.Schema, store.Schema, m.Version)
	case len(m.Files) != len(want):
		return fmt.Errorf("it lists %d files instead of %d", len(m.Files), len(want))
	}
	for i, f := range m.Files {
		if f.Name != want[i] || f.Size < 0 || f.Name != snapshotFile && f.Size > maxKeyFile {
			return fmt.Errorf("it lists %q of %d bytes in the place of %s", f.Name, f.Size, want[i])
		}
	}
	return nil
}

// writeArchive writes the manifest and the files, which lie at paths.
func writeArchive(to io.Writer, m Manifest, paths map[string]string) error {
	w := tar.NewWriter(to)
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeHeader(w, manifestFile, int64(len(content)), m.Created); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := writeHeader(w, f.Name, f.Size, m.Created); err != nil {
			return err
		}
		if err := copyFile(w, paths[f.Name]); err != nil {
			return err
		}
	}
	return w.Close()
}

func writeHeader(w *tar.Writer, name string, size int64, at time.Time) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at})
}

func copyFile(to io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}

var errNoBackup = errors.New("it is not a backup of gabion")

// readArchive unpacks a backup into dir, and compares each file with the manifest.
func readArchive(from io.Reader, dir string) (Manifest, error) {
	r := tar.NewReader(from)
	h, err := r.Next()
	if err != nil || h.Name != manifestFile || h.Size > maxManifest {
		return Manifest{}, errNoBackup
	}
	var m Manifest
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return m, errNoBackup
	}
	if err := m.check(); err != nil {
		return m, err
	}
	for _, f := range m.Files {
		h, err := r.Next()
		if err != nil || h.Name != f.Name || h.Typeflag != tar.TypeReg {
			return m, fmt.Errorf("%s is missing or damaged: take an older backup", f.Name)
		}
		if err := unpack(r, f, filepath.Join(dir, f.Name)); err != nil {
			return m, err
		}
	}
	return m, nil
}

func unpack(from io.Reader, want manifestFact, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(from, want.Size+1))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("unpack %s: %w", want.Name, err)
	}
	if size != want.Size || hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("%s is not what was backed up (its checksum differs): take an older backup", want.Name)
	}
	return nil
}
