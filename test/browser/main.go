// Command gabion-browser-site is what browser tests look at: a lab with hosts and
// guests, a real server with its console, and an agent on each host. Each argument
// is a host with its guests, such as h1:web1,db1. It needs root, and gabion beside it.
//
// It reads questions from standard input and writes answers to standard output, a
// line of JSON each. It removes everything when its input ends, and must not know
// what the browser does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Who started it closes its input; an interrupt at the terminal is for both.
	signal.Ignore(syscall.SIGINT)
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, hosts []string, in io.Reader, out io.Writer) error {
	s, err := newSite(ctx, hosts)
	if err != nil {
		return err
	}
	return errors.Join(s.serve(ctx, json.NewDecoder(in), json.NewEncoder(out)), s.close())
}

// question is what a test wants to know, or to have done.
type question struct {
	Do   string          `json:"do"`
	With json.RawMessage `json:"with"`
}

// answer is what came of it. Error is why it could not be answered.
type answer struct {
	Answer any    `json:"answer,omitempty"`
	Error  string `json:"error,omitempty"`
}

// serve introduces the site, and answers until there are no more questions.
func (s *site) serve(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	introduction, err := s.introduce()
	if err != nil {
		return err
	}
	for reply := (answer{Answer: introduction}); ; {
		if err := out.Encode(reply); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		var q question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read question: %w", err)
		}
		reply = s.reply(ctx, q)
	}
}

func (s *site) reply(ctx context.Context, q question) answer {
	handle, known := handlers[q.Do]
	if !known {
		return answer{Error: fmt.Sprintf("%q is nothing that the site does", q.Do)}
	}
	told, err := handle(ctx, s, q.With)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Answer: told}
}
