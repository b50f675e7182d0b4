#!/bin/sh
# An ordinary Rust program: threads, files, processes, time.
hello-std
