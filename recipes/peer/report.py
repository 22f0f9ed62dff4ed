"""Compares peer.json and calm.json, which run.sh filled in turns: python report.py DIR prints a table and writes
DIR/report.json, a line for each measurement."""

import json
import statistics
import sys
from pathlib import Path


def read(path):
    """Measurements by what was measured, each in the order of its rounds."""
    found = {}
    for line in path.read_text().splitlines():
        m = json.loads(line)
        found.setdefault((m["name"], m["shape"], m["threads"]), []).append(m)
    return found


def compare(key, peer, calm):
    """One line of the report. A ratio is PyTorch's time over calm's: of the medians over the rounds, and of each round."""
    name, shape, threads = key
    peer_ms, calm_ms = ([m["ms_median"] for m in side] for side in (peer, calm))
    rounds = [p / c for p, c in zip(peer_ms, calm_ms)]
    loads = [m["load"] for m in peer + calm if "load" in m]
    return {
        "name": name,
        "shape": shape,
        "threads": threads,
        "rounds": len(rounds),
        "peer_ms": statistics.median(peer_ms),
        "calm_ms": statistics.median(calm_ms),
        "over_peer": statistics.median(peer_ms) / statistics.median(calm_ms),
        "over_peer_of_rounds": [min(rounds), max(rounds)],
        "peer_rss_mb": max(m["peak_rss_mb"] for m in peer),
        "calm_rss_mb": max(m.get("peak_rss_mb", 0) for m in calm),
        "load": [min(loads), max(loads)] if loads else [],
        "software": peer[-1]["software"],
        "processor": peer[-1]["processor"],
        "isa": calm[-1]["isa"],
    }


def main():
    out = Path(sys.argv[1])
    peer, calm = read(out / "peer.json"), read(out / "calm.json")
    lines = [compare(key, peer[key], calm[key]) for key in peer if key in calm]
    if not lines:
        sys.exit(f"report.py: {out} has no measurement of both programs")
    first = lines[0]
    threads = f"{first['threads']} thread{'s' if first['threads'] > 1 else ''}"
    print(f"{first['software']} and calm ({first['isa']}) on {first['processor']}, {threads}")
    print(f"{'':28} {'shape':22} {'PyTorch, ms':>12} {'calm, ms':>10} {'times as fast':>14} {'rounds':>14} {'load':>11} {'MB':>13}")
    for r in lines:
        low, high = r["over_peer_of_rounds"]
        load = " - ".join(f"{x:.1f}" for x in r["load"])
        print(
            f"{r['name']:28} {r['shape']:22} {r['peer_ms']:12.4g} {r['calm_ms']:10.4g} {r['over_peer']:14.2f} "
            f"{f'{low:.2f} - {high:.2f}':>14} {load:>11} {r['peer_rss_mb']:6.0f},{r['calm_rss_mb']:6.0f}"
        )
    (out / "report.json").write_text("".join(json.dumps(r) + "\n" for r in lines))


if __name__ == "__main__":
    main()
