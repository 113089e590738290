/* A program with two libraries in it that are written in Rust. */
#include <raftcore.h>
#include <stdio.h>

unsigned other_length_of(unsigned number);

int main(void)
{
    raftcore_config config;
    if (raftcore_config_init(&config, sizeof config, NULL) != RAFTCORE_OK) return 1;
    printf("%u digits\n", other_length_of(config.election_timeout_ticks));
    return other_length_of(config.election_timeout_ticks) == 2 ? 0 : 1;
}
