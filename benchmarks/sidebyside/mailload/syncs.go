package main

import (
	"flag"
	"os"
	"syscall"
	"time"
)

type syncReport struct {
	Rate float64 `json:"syncs_per_s"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// syncs measures how often the disk of a folder completes an append with fdatasync, one after the other.
func syncs(arguments []string) (any, error) {
	options := flag.NewFlagSet("syncs", flag.ExitOnError)
	folder := options.String("folder", ".", "a folder on the disk")
	size := options.Int("size", 5120, "octets of an append")
	seconds := options.Float64("seconds", 1.5, "time to measure")
	options.Parse(arguments)
	file, err := os.CreateTemp(*folder, "syncs-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, *size)
	var durations []time.Duration
	start := time.Now()
	for before := start; time.Since(start).Seconds() < *seconds; before = time.Now() {
		if _, err = file.Write(block); err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		if err != nil {
			return nil, err
		}
		durations = append(durations, time.Since(before))
	}
	rate := float64(len(durations)) / time.Since(start).Seconds()
	found := spreadOf(durations)
	return syncReport{rate, found.P50, found.P99}, nil
}
