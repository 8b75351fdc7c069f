package main

import (
	"strconv"
	"strings"

	"github.com/gabion/gabion"
)

// parsePorts reads ports and ranges such as 80, 443 and 8000-8100. Nothing at
// all means every port: the zero range.
func parsePorts(texts []string) ([]gabion.PortRange, error) {
	if len(texts) == 0 {
		return []gabion.PortRange{{}}, nil
	}
	ranges := make([]gabion.PortRange, 0, len(texts))
	for _, text := range texts {
		r, err := parsePortRange(text)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

func parsePortRange(text string) (gabion.PortRange, error) {
	first, last, isRange := strings.Cut(strings.TrimSpace(text), "-")
	if !isRange {
		last = first
	}
	start, err := parsePort(first)
	if err != nil {
		return gabion.PortRange{}, err
	}
	end, err := parsePort(last)
	if err != nil {
		return gabion.PortRange{}, err
	}
	if start > end {
		return gabion.PortRange{}, usagef("--port %s runs backwards; write %d-%d", text, end, start)
	}
	return gabion.PortRange{Start: start, End: end}, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || n == 0 {
		return 0, usagef("--port %q is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443", text)
	}
	return uint16(n), nil
}
