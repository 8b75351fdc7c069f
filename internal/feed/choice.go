package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

// Servers of one zone are alike. Each host prefers them in an order of its own,
// drawn from its name: so hosts are spread evenly, also those of a server that is
// gone, and each comes back to where it was when that server does.

const (
	// lookEvery is how often, on average, a host looks whether a server that it
	// prefers serves, or the one that it is at does not any more.
	lookEvery = 30 * time.Second
	// lookTimeout is how long a server may take to say that it serves.
	lookTimeout = 5 * time.Second
)

// Preferred are the servers in the order in which the host tries them.
func Preferred(host string, servers []string) []string {
	order := slices.Clone(servers)
	slices.SortFunc(order, func(a, b string) int {
		x, y := sha256.Sum256([]byte(host+"\x00"+a)), sha256.Sum256([]byte(host+"\x00"+b))
		return bytes.Compare(x[:], y[:])
	})
	return slices.Compact(order)
}

// moved says that a stream ended because the host goes to a better server.
type moved struct{ to int }

func (moved) Error() string { return "another server is preferred" }

// look ends the stream when the host should be at another server.
func (c *Client) look(ctx context.Context, own *connection, end context.CancelCauseFunc) {
	if len(c.servers) < 2 {
		return
	}
	for {
		sleep(ctx, c.config.looks/2+c.config.Jitter(c.config.looks))
		if ctx.Err() != nil {
			return
		}
		if best := c.best(ctx, own); best != c.at {
			end(moved{best})
			return
		}
	}
}

// best is the first server that serves; the one that the host is at if none does.
func (c *Client) best(ctx context.Context, own *connection) int {
	for i := range c.servers {
		if i == c.at && own.serves(ctx) || i != c.at && c.serves(ctx, c.servers[i]) {
			return i
		}
	}
	return c.at
}

func (c *Client) serves(ctx context.Context, server string) bool {
	conn, err := connect(server, c.currentIdentity().TLS())
	if err != nil {
		return false
	}
	defer conn.close()
	return conn.serves(ctx)
}

// serves asks the server whether hosts are well served there. One that does not
// understand the question is not preferred to any other.
func (c *connection) serves(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	reply, err := grpc_health_v1.NewHealthClient(c.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err == nil && reply.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
}

// health answers hosts that ask whether they are well served here.
type health struct {
	grpc_health_v1.UnimplementedHealthServer

	server *Server
}

// Check tells whether the policy is there and the store answers.
func (h health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if _, err := callerOf(ctx); err != nil {
		return nil, toStatus(h.server.log, err)
	}
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if h.server.Ready() != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	} else if _, err := h.server.store.Epoch(ctx); err != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return &grpc_health_v1.HealthCheckResponse{Status: status}, nil
}
