package datapath

// Committed, so that building needs no clang. To generate again: clang 14 or newer and libbpf's headers.
//go:generate go tool -modfile=../../tools/go.mod bpf2go -target bpfel -type address -type reason -type direction -type flow_state -type flow -type flow_key -type fragment -type fragment_key -type openers -type opener -type policy_key -type cidr_key -type event -type collection -cflags "-O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" bpf bpf/gabion.c
