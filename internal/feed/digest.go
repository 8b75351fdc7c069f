package feed

import (
	"crypto/sha256"

	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/policy"
)

// Digest is the SHA-256 of a view, whatever its revision: equal views, equal digests.
// It is nil for a view that can't be encoded.
func Digest(v *policy.View) []byte {
	whole := encodeView(v)
	whole.Revision = 0
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(whole)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
