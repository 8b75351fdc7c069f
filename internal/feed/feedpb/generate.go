// Package feedpb is the stream between server and agents, as protoc makes it of
// feed.proto. It means nothing by itself: package feed checks what comes in it.
package feedpb

// The plugins are those of tools/go.mod: "go tool -n" builds them and says where they are.
//go:generate sh -c "protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative --plugin=$(go tool -modfile=../../../tools/go.mod -n protoc-gen-go) --plugin=$(go tool -modfile=../../../tools/go.mod -n protoc-gen-go-grpc) feed.proto"
