#!/bin/sh
# tokio with four threads.
exec threads tasks
