// Package setup has no code: its test tries scripts/setup.sh where it has to refuse.
package setup
