#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The vectors in tests/vectors/ are what their generator makes: nobody has touched one to make a test pass.
cd "${OFFKUBE_SOURCE_DIR:-$(dirname "$0")/../..}" || exit 1
exec /usr/bin/python3 tools/gen-vectors.py --check tests/vectors
