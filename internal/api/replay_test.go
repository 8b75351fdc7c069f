package api

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnswersAreForgottenWhenTheirSignaturesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplays()
		changes := 0
		ask := func(signature byte, status int) {
			c := &caller{signature: [32]byte{signature}, expires: time.Now().Add(time.Minute)}
			_, err := p.do(context.Background(), c, func() *answer {
				changes++
				return &answer{status: status, header: http.Header{}}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		ask(1, 200)
		ask(1, 200)
		ask(2, 409)
		ask(2, 409)
		if changes != 3 {
			t.Errorf("%d changes were made, want the first once and the refused one twice", changes)
		}
		if len(p.entries) != 1 {
			t.Errorf("%d answers are remembered, want 1", len(p.entries))
		}
		time.Sleep(2 * time.Minute)
		ask(3, 409)
		if len(p.entries) != 0 || len(p.expiring) != 1 {
			t.Errorf("%d answers of %d seconds are left after all have expired", len(p.entries), len(p.expiring))
		}
	})
}
