"""Memory, as kernels print it."""

from __future__ import annotations

from typing import Final

from cgroupfs import NumaBytes
from cgroupfs.memory_events import MemoryEvents
from tests.cgroupfs.formats.form import Format, lines

_TOTALS_3_10: Final = (
    *("total_cache 8192", "total_rss 4096", "total_rss_huge 0", "total_mapped_file 2048", "total_swap 512"),
    *("total_pgpgin 9", "total_pgpgout 8", "total_pgfault 7", "total_pgmajfault 1", "total_inactive_anon 0"),
    *("total_active_anon 4096", "total_inactive_file 1024", "total_active_file 7168", "total_unevictable 0"),
)
_OWN_3_10: Final = (
    *(
        "cache 4096",
        "rss 4096",
        "rss_huge 0",
        "mapped_file 0",
        "swap 0",
        "pgpgin 3",
        "pgpgout 2",
        "pgfault 1",
    ),
    *("pgmajfault 0", "inactive_anon 0", "active_anon 4096", "inactive_file 0", "active_file 4096"),
    *("unevictable 0", "hierarchical_memory_limit 9223372036854771712"),
)
_NOT_COUNTED: Final = {"total_swap 512"}
_UNIFIED_4_9: Final = (
    *(
        "anon 4096",
        "file 8192",
        "kernel_stack 16384",
        "slab 12288",
        "sock 0",
        "file_mapped 2048",
        "file_dirty 0",
    ),
    *("file_writeback 64", "inactive_anon 0", "active_anon 4096", "inactive_file 1024", "active_file 7168"),
    *("unevictable 0", "slab_reclaimable 4096", "slab_unreclaimable 8192", "pgfault 7", "pgmajfault 1"),
)

MEMORY: Final = (
    Format(
        "3.10",
        "memory.make_v1_stat_parser",
        "neither dirty pages, writeback nor shared memory",
        lines(*_OWN_3_10, *_TOTALS_3_10),
        (4096, 8192, None, 2048, None, None, 1024, 7168, 512, 7, 1),
    ),
    Format(
        "3.10",
        "memory.make_v1_stat_parser",
        "no swap accounting (swapaccount=0)",
        lines(*_OWN_3_10, *(line for line in _TOTALS_3_10 if line not in _NOT_COUNTED)),
        (4096, 8192, None, 2048, None, None, 1024, 7168, None, 7, 1),
    ),
    Format(
        "4.9",
        "memory.make_v1_stat_parser",
        "dirty pages and writeback, no shared memory",
        lines(*_OWN_3_10, *_TOTALS_3_10[:4], "total_dirty 32", "total_writeback 64", *_TOTALS_3_10[4:]),
        (4096, 8192, None, 2048, 32, 64, 1024, 7168, 512, 7, 1),
    ),
    Format(
        "6.18",
        "memory.make_v1_stat_parser",
        "refaults and the swap cache among the others",
        lines(
            *(*_OWN_3_10, *_TOTALS_3_10[:3], "total_shmem 16", "total_mapped_file 2048", "total_dirty 32"),
            *("total_writeback 64", "total_workingset_refault_anon 0", "total_workingset_refault_file 1"),
            *("total_swap 512", "total_swapcached 0", *_TOTALS_3_10[5:]),
        ),
        (4096, 8192, 16, 2048, 32, 64, 1024, 7168, 512, 7, 1),
    ),
    Format(
        "4.9",
        "memory.make_v2_stat_parser",
        "neither shared nor kernel memory as a sum",
        lines(*_UNIFIED_4_9),
        (4096, 8192, None, 2048, 0, 64, 1024, 7168, None, 7, 1),
    ),
    Format(
        "6.1",
        "memory.make_v2_stat_parser",
        "kernel memory as a sum, and many keys more",
        lines(
            *(*_UNIFIED_4_9[:2], "kernel 98304", "kernel_stack 16384", "pagetables 0", "sec_pagetables 0"),
            *("percpu 0", "sock 0", "vmalloc 0", "shmem 16", "zswap 0", "zswapped 0", *_UNIFIED_4_9[5:8]),
            *("swapcached 0", "anon_thp 0", "file_thp 0", "shmem_thp 0", *_UNIFIED_4_9[8:]),
        ),
        (4096, 8192, 16, 2048, 0, 64, 1024, 7168, 98304, 7, 1),
    ),
    Format(
        "3.10",
        "memory_events.parse_oom_control",
        "no count of kills",
        lines("oom_kill_disable 0", "under_oom 0"),
        MemoryEvents(under_oom=False),
    ),
    Format(
        "4.14",
        "memory_events.parse_oom_control",
        "kills are counted (since 4.13)",
        lines("oom_kill_disable 0", "under_oom 1", "oom_kill 2"),
        MemoryEvents(oom_kills=2, under_oom=True),
    ),
    Format(
        "4.9",
        "memory_events.parse_memory_events",
        "no count of kills",
        lines("low 0", "high 3", "max 12", "oom 1"),
        MemoryEvents(limit_hits=12, low_hits=0, high_hits=3, ooms=1),
    ),
    Format(
        "6.1",
        "memory_events.parse_memory_events",
        "groups killed as a whole are counted (since 5.17)",
        lines("low 0", "high 3", "max 12", "oom 1", "oom_kill 2", "oom_group_kill 1"),
        MemoryEvents(limit_hits=12, oom_kills=2, low_hits=0, high_hits=3, ooms=1, oom_group_kills=1),
    ),
    Format(
        "3.10",
        "numa.parse_numa_stat.v1",
        "nothing with child groups",
        lines("total=3 N0=2 N1=1", "file=2 N0=2 N1=0", "anon=1 N0=0 N1=1", "unevictable=0 N0=0 N1=0"),
        {},
    ),
    Format(
        "5.4",
        "numa.parse_numa_stat.v1",
        "pages, with child groups too",
        lines(
            *(
                "total=3 N0=3",
                "file=2 N0=2",
                "anon=1 N0=1",
                "unevictable=0 N0=0",
                "hierarchical_total=3 N0=3",
            ),
            *("hierarchical_file=2 N0=2", "hierarchical_anon=1 N0=1", "hierarchical_unevictable=0 N0=0"),
        ),
        {0: NumaBytes(4096, 8192)},
    ),
    Format(
        "5.10",
        "numa.parse_numa_stat.v2",
        "bytes, with as many keys as memory.stat",
        lines("anon N0=4096 N1=0", "file N0=0 N1=8192", "kernel_stack N0=0 N1=0", "shmem N0=0 N1=0"),
        {0: NumaBytes(4096, 0), 1: NumaBytes(0, 8192)},
    ),
)
