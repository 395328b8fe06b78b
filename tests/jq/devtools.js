// SPDX-License-Identifier: GPL-2.0-or-later
// For tests/jq/browse: loads the trace in "data" into the panel Performance of Chromium's DevTools, shows the process
// with most slices and what else was open in its time, and results in the numbers of processes, rows and slices.
(async () => {
    const timeline = await import("./panels/timeline/timeline.js");
    const bounds = await import("./services/trace_bounds/trace_bounds.js");
    const trace = await import("./models/trace/trace.js");
    const panel = timeline.TimelinePanel.TimelinePanel.instance(); // throws until it is shown
    window.loading ??= panel.loadFromFile(new File([data], "make.json", {type: "application/json"}));
    await window.loading;
    const flames = panel.getFlameChart(), chart = flames.getMainFlameChart();
    const {groups, entryStartTimes, entryTotalTimes, entryLevels} = chart.timelineData();
    if (entryStartTimes.length === 0) return null;

    const nested = (level) => groups.filter((group) => group.style.nestingLevel === level);
    const range = (group, next) => ({group, slices: [...entryStartTimes.keys()].filter(
        (i) => entryLevels[i] >= group.startLevel && entryLevels[i] < (next?.startLevel ?? Infinity))});
    const processes = nested(0).map((group, i, all) => range(group, all[i + 1]));
    const {group, slices} = processes.reduce((most, other) => other.slices.length > most.slices.length ? other : most);
    const from = Math.min(...slices.map((i) => entryStartTimes[i]));
    const to = Math.max(...slices.map((i) => entryStartTimes[i] + entryTotalTimes[i]));
    const pause = () => new Promise((done) => setTimeout(done, 2000)); // for animations
    await pause();
    // Each expansion lays out all groups anew; the picture has room for some 30.
    const first = groups.indexOf(group);
    for (let i = Math.max(first - 40, 0); i < Math.min(first + 40, groups.length); i++) chart.expandGroup(i);
    flames.detailsSplitWidget.hideSidebar();
    const elements = (root) => [...root.children, ...(root.shadowRoot?.children ?? [])].flatMap((e) => [e, ...elements(e)]);
    elements(document.body).find((e) => e.getAttribute("aria-label") === "Hide sidebar")?.click();
    await pause();
    bounds.TraceBounds.BoundsManager.instance().setTimelineVisibleWindow(
        trace.Helpers.Timing.traceWindowFromMilliSeconds(from, to));
    chart.chartViewport.setScrollOffset(chart.groupIndexToOffsetForTest(first) - 20);
    elements(document.body).filter((e) => e.localName === "dialog").forEach((dialog) => dialog.close());
    await pause();
    return `processes ${nested(0).length} rows ${nested(1).length} slices ${entryStartTimes.length}`;
})()
