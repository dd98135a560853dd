// Package wheel is a hierarchical timing wheel (Varghese and Lauck, SOSP 1987) driven by an explicit now.
//
//  1. Arm files a timer by the highest 6-bit group in which its tick differs from the current one:
//     level 0 holds the next 64 ticks, level 1 the next 64 blocks of 64 ticks, and so on.
//  2. Advance goes from one occupied slot to the next, found in one bitmap per level; slots of higher
//     levels are spread over the lower ones when their time begins, level 0 slots fire.
//  3. Next says how long the owner may sleep.
//
// Arm and Cancel are O(1), nothing allocates: timers are embedded in what they belong to. A timer never
// fires early, at most one tick late, and timers of equal tick fire in the order they were armed.
//
// Threading: a wheel and its timers belong to one owner (a loop or a shard); there is no lock.
package wheel
