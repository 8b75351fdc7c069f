package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

const (
	// patience is how long a change waits for the hosts before it is answered as
	// pending: a host takes tens of milliseconds, an SDK polls every 3 seconds.
	patience = 2 * time.Second

	// deadline is how long the store may take for a change.
	deadline = 5 * time.Second
)

// show answers what find finds in the caller's organization.
func (a *api) show(w http.ResponseWriter, r *http.Request, find func(ctx context.Context, org string) (any, error)) {
	found, err := find(r.Context(), callerOf(r.Context()).Organization)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	respond(w, http.StatusOK, found)
}

// change makes a change in the caller's organization and answers its operation.
// It goes on when the caller goes away: half-asked is not half-made, and whoever
// asks again gets the answer.
func (a *api) change(w http.ResponseWriter, r *http.Request, ask func(ctx context.Context, org string) (gabion.Operation, error)) {
	ctx := context.WithoutCancel(r.Context())
	op, err := within5s(ctx, callerOf(ctx).Organization, ask)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	// From here on the change is made: whatever happens is no error of it.
	body := a.settle(ctx, op, patience)
	if body.State == openapi.Pending && op.Message != "" {
		a.finish(ctx, op) // so that whoever asks later is warned, too
	}
	respond(w, http.StatusOK, body)
}

func within5s(ctx context.Context, org string, ask func(ctx context.Context, org string) (gabion.Operation, error)) (gabion.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return ask(ctx, org)
}

// settle finishes the operation if all hosts enforce it, or do so within wait,
// and says what there is to say of it.
func (a *api) settle(ctx context.Context, op gabion.Operation, wait time.Duration) openapi.Operation {
	if op.State != gabion.OperationPending {
		return a.operationBody(op)
	}
	missing := a.missing(ctx, op.Revision, wait)
	if len(missing) > 0 {
		body := a.operationBody(op)
		body.Message = join(op.Message, waitingFor(missing))
		return body
	}
	op.State, op.Message = gabion.OperationSuccess, join(op.Message, a.leftOut(ctx, op))
	if !a.finish(ctx, op) {
		op.State = gabion.OperationPending // a success that is not stored could go back
	}
	return a.operationBody(op)
}

func (a *api) missing(ctx context.Context, revision int64, wait time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return a.Enforcement.Await(ctx, revision)
}

// leftOut says what the host of an instance could not enforce. Whoever changes the
// instance hears it with the answer, since it may be about just that; whoever
// changes anything else is not bothered: the list of hosts says it, too.
func (a *api) leftOut(ctx context.Context, op gabion.Operation) string {
	if op.Kind != "instance" {
		return ""
	}
	i, err := a.Store.Instance(ctx, op.Organization, op.Subject)
	if err != nil || i.Host == "" {
		return "" // it is gone, or nobody's to enforce
	}
	problem := a.Enforcement.Problem(i.Host)
	if problem == "" {
		return ""
	}
	return "host " + i.Host + " could not enforce everything: " + about(i, problem)
}

// about is what of a host's problems is about the instance. The rest may name what is
// other organizations', and is for the operator, who sees the list of hosts.
func about(i gabion.Instance, problems string) string {
	var own []string
	for problem := range strings.SplitSeq(problems, "; ") {
		if slices.ContainsFunc(strings.FieldsFunc(problem, isBreak), func(word string) bool { return isNamedIn(i, word) }) {
			own = append(own, problem)
		}
	}
	if len(own) == 0 {
		return "ask your operator"
	}
	return strings.Join(own, "; ")
}

// isBreak tells where a word of a problem ends.
func isBreak(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",:()\"", r) }

// isNamedIn tells whether the word is what the instance, an interface or a group of its
// is known by.
func isNamedIn(i gabion.Instance, word string) bool {
	return word == i.ID || slices.Contains(i.Groups, word) ||
		slices.ContainsFunc(i.NICs, func(n gabion.NIC) bool { return n.Interface == word })
}

// finish stores the operation's state and message. That it can't is no error of
// the change: whoever asks for the operation makes up for it.
func (a *api) finish(ctx context.Context, op gabion.Operation) bool {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err := a.Store.FinishOperation(ctx, op)
	if err != nil {
		a.Log.Warn("operation not stored", "operation", op.ID, "error", err)
	}
	return err == nil
}

// maxNamed is how many hosts a message names.
const maxNamed = 10

func waitingFor(hosts []string) string {
	what := "host "
	if len(hosts) > 1 {
		what = "hosts "
	}
	if len(hosts) > maxNamed {
		return "waiting for " + what + strings.Join(hosts[:maxNamed], ", ") + " and more to enforce it"
	}
	return "waiting for " + what + strings.Join(hosts, ", ") + " to enforce it"
}

func join(first, second string) string {
	if first == "" || second == "" {
		return first + second
	}
	return first + "; " + second
}

// GetOperation answers how far a change is now.
func (a *api) GetOperation(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		if k := slices.IndexFunc(allAccepted, func(op openapi.Operation) bool { return op.ID == id }); k >= 0 {
			return allAccepted[k], nil
		}
		op, err := a.Store.Operation(ctx, org, id)
		if err != nil {
			return nil, err
		}
		return a.settle(ctx, op, 0), nil
	})
}

func (a *api) operationBody(op gabion.Operation) openapi.Operation {
	body := operationBody(op)
	if op.Revision > 0 {
		body.Enforcement = a.enforcementBody(op.Revision)
	}
	return body
}

func operationBody(op gabion.Operation) openapi.Operation {
	body := openapi.Operation{
		ID: op.ID, State: openapi.OperationState(op.State), Message: op.Message,
		Reference: openapi.OperationReference{ID: op.Subject, Command: op.Command},
	}
	if op.Kind != "" {
		body.Reference.Link = Base + "/" + op.Kind + "/" + op.Subject
	}
	return body
}

// done is the operation of what needs no change: it succeeded, and nobody will
// have to ask for it again.
func done(command, link string) openapi.Operation {
	return openapi.Operation{
		ID: uuid.NewString(), State: openapi.Success,
		Reference: openapi.OperationReference{Command: command, Link: link},
	}
}
