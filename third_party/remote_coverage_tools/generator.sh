#!/bin/sh
echo "coverage is collected by tests/fuzz/coverage with llvm-cov" >&2
exit 1
