"""What the `demand` commands do; `cli` only parses. Heavy imports are made here, behind the first line of output."""
