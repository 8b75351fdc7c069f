package feed

import (
	"context"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/gabion/gabion/internal/feed/feedpb"
)

// A host is heard at a pace that is far above what one has to say, and held back
// beyond: whoever has its certificate must not keep the server from others. A message
// costs one, and one more for each KB.
const (
	pacePerSecond = 2000
	paceAtOnce    = 2 * (1 + maxFromHost>>10)
)

// pace is that of one stream.
type pace struct{ limiter *rate.Limiter }

func newPace() pace { return pace{rate.NewLimiter(pacePerSecond, paceAtOnce)} }

// wait waits for the message's turn.
func (p pace) wait(ctx context.Context, m *feedpb.AgentMessage) error {
	return p.limiter.WaitN(ctx, min(1+proto.Size(m)>>10, paceAtOnce))
}
