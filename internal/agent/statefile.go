package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gabion/gabion/internal/atomicfile"
	"github.com/gabion/gabion/internal/feed"
)

const stateFileName = "policy.pb"

// stateFile keeps the newest policy that the host was told. It is written before
// the policy is enforced, so it is never older than what the kernel enforces: a
// host that starts again never goes back to what was revoked.
type stateFile struct {
	path string
	host string
}

func (f stateFile) load() (*feed.State, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read state file: %w", err)
	}
	state, err := feed.DecodeState(f.host, data)
	if err != nil {
		return nil, fmt.Errorf("read state file %s: %w", f.path, err)
	}
	return state, nil
}

// save replaces the file, and returns the digest of what is in it. If it can't, it
// removes the old one: no policy for new interfaces is better than one of the past for
// all.
func (f stateFile) save(s *feed.State) (digest []byte, err error) {
	data, digest, err := s.Encode()
	if err == nil {
		err = atomicfile.Write(f.path, data, 0o600)
	}
	if err == nil {
		return digest, nil
	}
	if gone := os.Remove(f.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return digest, fmt.Errorf("write state file: %w", err)
}
