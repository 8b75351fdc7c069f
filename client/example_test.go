package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// With admin.env sourced: let everybody reach HTTPS of a group, and go on when
// every host enforces it.
func Example() {
	config, err := client.ConfigFromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.New(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	groups, err := c.Groups(ctx)
	if err != nil {
		log.Fatal(err)
	}
	https := 443
	operation, err := c.AddRules(ctx, groups[0].ID, []rest.AddRuleRequest{{
		FlowDirection: rest.FlowDirectionIngress,
		Protocol:      rest.ProtocolTCP,
		StartPort:     &https,
		EndPort:       &https,
		Network:       "0.0.0.0/0",
	}})
	if err != nil {
		log.Fatal(err)
	}
	operation, err = c.Wait(ctx, operation)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(operation.State)
}
