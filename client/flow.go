package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gabion/gabion/client/rest"
)

// RuleHits lists how often each rule was what let packets pass. Without a group's
// id, of all groups.
func (c *Client) RuleHits(ctx context.Context, group string) ([]rest.RuleHit, error) {
	list, err := decode[rest.RuleHitList](c.rest.ListRuleHits(ctx, &rest.ListRuleHitsParams{SecurityGroup: group}))
	return list.RuleHits, err
}

// InstanceDrops lists how many packets of the instance were dropped, by interface and reason.
func (c *Client) InstanceDrops(ctx context.Context, id string) ([]rest.DroppedPackets, error) {
	list, err := decode[rest.DropList](c.rest.ListInstanceDrops(ctx, id))
	return list.Drops, err
}

// OpenFlows lists up to 1,000 flows that the instance has open now, and tells whether
// there are more.
func (c *Client) OpenFlows(ctx context.Context, id string) (flows []rest.OpenFlow, more bool, err error) {
	list, err := decode[rest.OpenFlowList](c.rest.ListInstanceFlows(ctx, id))
	return list.Flows, list.More, err
}

// Receipts lists which hosts of the organization's instances enforce which revision.
func (c *Client) Receipts(ctx context.Context) (rest.ReceiptList, error) {
	return decode[rest.ReceiptList](c.rest.ListReceipts(ctx))
}

// Watched is what a stream of flows tells: an event, or how many were lost.
type Watched struct {
	Event *rest.FlowEvent
	Lost  uint64
	Note  string // about the stream itself
}

// ErrStreamEnded reports that a stream ended by itself: the server stops or is gone, or
// the key is.
var ErrStreamEnded = errors.New("the stream ended")

// WatchFlows hands over flow events as they happen, until ctx ends or handle fails.
func (c *Client) WatchFlows(ctx context.Context, params rest.StreamFlowsParams, handle func(Watched) error) error {
	response, err := c.streams.StreamFlows(ctx, &params)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := readAnswer(response)
		if err != nil {
			return err
		}
		return refusal(response, body)
	}
	err = readStream(response.Body, handle)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readStream reads server-sent events until the stream or handle ends it.
func readStream(body io.Reader, handle func(Watched) error) error {
	var event string
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		var err error
		switch name {
		case "":
			if value != "" {
				err = handle(Watched{Note: value})
			}
		case "event":
			event = value
		case "data":
			var w Watched
			if w, err = decodeWatched(event, value); err == nil && w != (Watched{}) {
				err = handle(w)
			}
		}
		if err != nil {
			return err
		}
	}
	return ErrStreamEnded // what broke it doesn't matter
}

// decodeWatched is empty for events of kinds that are not known yet.
func decodeWatched(event, data string) (w Watched, err error) {
	switch event {
	case "flow":
		w.Event = &rest.FlowEvent{}
		err = json.Unmarshal([]byte(data), w.Event)
	case "lost":
		err = json.Unmarshal([]byte(data), &w.Lost)
	}
	if err != nil {
		return w, fmt.Errorf("decode event: %w", err)
	}
	return w, nil
}
