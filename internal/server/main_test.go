package server_test

import (
	"os"
	"testing"

	"github.com/gabion/gabion/internal/etcdcluster"
)

func TestMain(m *testing.M) {
	etcdcluster.Main()
	os.Exit(m.Run())
}
