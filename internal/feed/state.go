package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// stateHeader begins a state file. A file of another version is refused like a
// damaged one: the server has a newer copy of all that it holds.
const stateHeader = "gabion state 1\n"

// State is what a host knows: its view, and the store's line of history that the
// view's revision belongs to.
type State struct {
	Epoch string
	View  *policy.View
}

// Encode makes a state file's content: header, SHA-256 of the rest, the rest.
func (s *State) Encode() ([]byte, error) {
	body, err := proto.Marshal(&feedpb.State{StoreEpoch: s.Epoch, View: encodeView(s.View)})
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	sum := sha256.Sum256(body)
	return bytes.Join([][]byte{[]byte(stateHeader), sum[:], body}, nil), nil
}

// DecodeState reads the host's state file, and refuses one that is not exactly
// what was written.
func DecodeState(host string, data []byte) (*State, error) {
	rest, ok := bytes.CutPrefix(data, []byte(stateHeader))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("decode state: it is not a state file of this version")
	}
	body := rest[sha256.Size:]
	if sha256.Sum256(body) != [sha256.Size]byte(rest) {
		return nil, errors.New("decode state: its checksum is wrong")
	}
	var m feedpb.State
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	view, err := decodeView(host, m.View)
	if err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	return &State{Epoch: m.StoreEpoch, View: view}, nil
}
