//go:build linux

package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// choice is what the fan-out measures: every combination.
type choice struct {
	viewers   numbers
	rates     numbers // messages a second
	rooms     numbers // of each viewer, 1 or 12
	unreading int     // per hundred viewers
	polling   bool
	isDefault bool
}

// define adds the choice's flags.
func (c *choice) define(flags *flag.FlagSet) {
	c.viewers, c.rates, c.rooms = numbers{1000, 5000, 10_000, 19_000}, numbers{1, 5}, numbers{1, 12}
	flags.Var(&c.viewers, "viewers", "fanout: numbers of viewers")
	flags.Var(&c.rates, "rates", "fanout: messages a second, divisors of 1000 up to 20")
	flags.Var(&c.rooms, "rooms", "fanout: rooms of each viewer, 1 and 12")
	flags.BoolVar(&c.polling, "polling", false, "fanout: HTTP long-polling instead of WebSocket, against the same floor")
	flags.IntVar(&c.unreading, "unreading", 0, "fanout: how many of a hundred viewers do not read")
}

// check looks at what was set; quick has its own defaults.
func (c *choice) check(flags *flag.FlagSet, quick bool) error {
	c.isDefault = true
	flags.Visit(func(f *flag.Flag) {
		if slices.Contains([]string{"viewers", "rates", "rooms", "unreading", "polling"}, f.Name) {
			c.isDefault = false
		}
	})
	if quick && c.isDefault {
		c.viewers, c.rates = numbers{1000}, numbers{5}
	}
	for _, n := range c.viewers {
		if n < 1 {
			return fmt.Errorf("-viewers must be at least 1, not %d", n)
		}
	}
	for _, n := range c.rates {
		if n < 1 || n > 20 || 1000%n != 0 {
			return fmt.Errorf("-rates must be divisors of 1000 from 1 to 20, not %d", n)
		}
	}
	for _, n := range c.rooms {
		if n != 1 && n != 12 {
			return fmt.Errorf("-rooms must be 1 or 12, not %d", n)
		}
	}
	if c.unreading < 0 || c.unreading > 99 {
		return fmt.Errorf("-unreading must be 0 to 99, not %d", c.unreading)
	}
	return nil
}

// numbers is a flag with commas.
type numbers []int

func (n *numbers) String() string {
	texts := make([]string, len(*n))
	for i, v := range *n {
		texts[i] = strconv.Itoa(v)
	}
	return strings.Join(texts, ",")
}

// Set implements flag.Value.
func (n *numbers) Set(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("%q is not a number", part)
		}
		*n = append(*n, v)
	}
	return nil
}
