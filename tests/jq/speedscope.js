// SPDX-License-Identifier: GPL-2.0-or-later
// For tests/jq/browse: results in the number of profiles that speedscope has found, which it shows as "(1/N)".
document.body.innerText.match(/\(1\/(\d+)\)/)?.[1]
