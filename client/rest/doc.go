// Package rest is generated from api/openapi.yaml: the contract's types, and one
// function for each of its calls. It knows nothing of credentials, of waiting or
// of what an answer means; package client does.
package rest

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config config.yaml ../../api/openapi.yaml
