"""What the README's figures come from: each module is one benchmark, and run.sh runs it."""
