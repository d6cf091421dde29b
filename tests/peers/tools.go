// SPDX-License-Identifier: GPL-2.0-or-later

//go:build tools

// Package peers names the programs that build.sh builds, so that go.mod and go.sum hold what they need.
package peers

import _ "k8s.io/kubernetes/cmd/kube-proxy"
