;; The sampler's passes over one row of logits, four float32 at a time. `npm run generate` compiles this to
;; kernels.wasm.ts; kernels.ts lays out the memory and documents each pass; candidates.ts calls the passes. No
;; pass allocates memory.
;;
;; The passes read the row in groups of 64 ids. The row is padded with -Infinity to a whole number of groups,
;; so no pass over the row has a remainder. A list is three arrays, `stride` bytes apart: ids (i32), values
;; (f32: logits), weights (f32). Each array has 64 spare elements, because passes read and write up to one
;; group past the end of a list.
(module
  (import "layout" "memory" (memory 1))
  ;; Byte addresses. `row` and `maxima` are f32, `sums` and `buckets` f64, `span` two i32.
  (import "layout" "row" (global $row i32))
  (import "layout" "maxima" (global $maxima i32))
  (import "layout" "sums" (global $sums i32))
  (import "layout" "span" (global $span i32))
  (import "layout" "buckets" (global $buckets i32))
  ;; One bit for each id of the row and of its padding: bit id & 31 of the i32 at index id >> 5.
  (import "layout" "bits" (global $bits i32))
  (import "layout" "stride" (global $stride i32))
  ;; Number of groups in the row.
  (import "layout" "groups" (global $groups i32))

  ;; At address 0, for each of the 16 lane masks: the byte shuffle that moves the lanes of the mask to the
  ;; front.
  (data (i32.const 0)
    "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f"
    "\04\05\06\07\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f"
    "\08\09\0a\0b\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\08\09\0a\0b\08\09\0a\0b\0c\0d\0e\0f"
    "\04\05\06\07\08\09\0a\0b\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f"
    "\0c\0d\0e\0f\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\0c\0d\0e\0f\08\09\0a\0b\0c\0d\0e\0f"
    "\04\05\06\07\0c\0d\0e\0f\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\04\05\06\07\0c\0d\0e\0f\0c\0d\0e\0f"
    "\08\09\0a\0b\0c\0d\0e\0f\08\09\0a\0b\0c\0d\0e\0f" "\00\01\02\03\08\09\0a\0b\0c\0d\0e\0f\0c\0d\0e\0f"
    "\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\0c\0d\0e\0f" "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f")

  ;; argMax() → the largest logit, after writing the largest of each group to `maxima`; NaN where a logit is
  ;; NaN or +Infinity.
  (func (export "argMax") (result f32)
    (local $at i32) (local $end i32) (local $group i32) (local $a v128) (local $b v128)
    (local $most v128) (local $own v128) (local $sound v128) (local $infinity v128)
    (local.set $at (global.get $row))
    (local.set $infinity (f32x4.splat (f32.const inf)))
    (local.set $most (f32x4.splat (f32.const -inf)))
    (local.set $sound (i32x4.splat (i32.const -1)))
    (loop $groups_
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (local.set $own (f32x4.splat (f32.const -inf)))
      (loop $vectors
        (local.set $a (v128.load (local.get $at)))
        (local.set $b (v128.load offset=16 (local.get $at)))
        ;; Below +Infinity: false for NaN too.
        (local.set $sound (v128.and (local.get $sound) (v128.and
          (f32x4.lt (local.get $a) (local.get $infinity)) (f32x4.lt (local.get $b) (local.get $infinity)))))
        ;; pmax is one instruction, max is several. The result of pmax for NaN does not matter, because
        ;; `sound` is then false.
        (local.set $own (f32x4.pmax (local.get $own) (f32x4.pmax (local.get $a) (local.get $b))))
        (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $end))))
      (local.set $most (f32x4.pmax (local.get $most) (local.get $own)))
      (f32.store (i32.add (global.get $maxima) (i32.shl (local.get $group) (i32.const 2))) (call $largest (local.get $own)))
      (br_if $groups_
        (i32.lt_u (local.tee $group (i32.add (local.get $group) (i32.const 1))) (global.get $groups))))
    (select (call $largest (local.get $most)) (f32.const nan) (i32x4.all_true (local.get $sound))))

  ;; maskedArgMax() → the result of argMax, after the logit of each id whose bit is 0 has become -Infinity. One
  ;; pass for both takes 5 µs less than two for 49 152 ids. Words of ones, which are most words of most masks,
  ;; are not written, and words of zeros are not read.
  (func (export "maskedArgMax") (result f32)
    (local $at i32) (local $end i32) (local $groupEnd i32) (local $rowEnd i32) (local $maximum i32) (local $bits i32)
    (local $word i32) (local $words v128) (local $lanes v128) (local $a v128) (local $b v128)
    (local $most v128) (local $own v128) (local $sound v128) (local $infinity v128) (local $none v128)
    (local.set $at (global.get $row))
    (local.set $rowEnd (i32.add (global.get $row) (i32.shl (global.get $groups) (i32.const 8))))
    (local.set $maximum (global.get $maxima))
    (local.set $bits (global.get $bits))
    (local.set $infinity (f32x4.splat (f32.const inf)))
    (local.set $none (f32x4.splat (f32.const -inf)))
    (local.set $most (local.get $none))
    (local.set $sound (i32x4.splat (i32.const -1)))
    (loop $groups_
      (local.set $groupEnd (i32.add (local.get $at) (i32.const 256)))
      (local.set $own (local.get $none))
      (loop $words_
        (local.set $word (i32.load (local.get $bits)))
        (local.set $end (i32.add (local.get $at) (i32.const 128)))
        (if (i32.eqz (local.get $word))
          (then
            (loop $zeros
              (v128.store (local.get $at) (local.get $none))
              (v128.store offset=16 (local.get $at) (local.get $none))
              (br_if $zeros (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $end)))))
          (else (if (i32.eq (local.get $word) (i32.const -1))
            (then
              (loop $ones
                (local.set $a (v128.load (local.get $at)))
                (local.set $b (v128.load offset=16 (local.get $at)))
                (local.set $sound (v128.and (local.get $sound) (v128.and
                  (f32x4.lt (local.get $a) (local.get $infinity)) (f32x4.lt (local.get $b) (local.get $infinity)))))
                (local.set $own (f32x4.pmax (local.get $own) (f32x4.pmax (local.get $a) (local.get $b))))
                (br_if $ones (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $end)))))
            (else
              (local.set $words (i32x4.splat (local.get $word)))
              ;; The bits of the ids in the lanes of the next vector.
              (local.set $lanes (v128.const i32x4 1 2 4 8))
              (loop $vectors
                (local.set $a (v128.bitselect (v128.load (local.get $at)) (local.get $none)
                  (i32x4.eq (local.get $lanes) (v128.and (local.get $words) (local.get $lanes)))))
                (v128.store (local.get $at) (local.get $a))
                (local.set $sound (v128.and (local.get $sound) (f32x4.lt (local.get $a) (local.get $infinity))))
                (local.set $own (f32x4.pmax (local.get $own) (local.get $a)))
                (local.set $lanes (i32x4.shl (local.get $lanes) (i32.const 4)))
                (br_if $vectors
                  (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))))))
        (local.set $bits (i32.add (local.get $bits) (i32.const 4)))
        (br_if $words_ (i32.lt_u (local.get $at) (local.get $groupEnd))))
      (local.set $most (f32x4.pmax (local.get $most) (local.get $own)))
      (f32.store (local.get $maximum) (call $largest (local.get $own)))
      (local.set $maximum (i32.add (local.get $maximum) (i32.const 4)))
      (br_if $groups_ (i32.lt_u (local.get $at) (local.get $rowEnd))))
    (select (call $largest (local.get $most)) (f32.const nan) (i32x4.all_true (local.get $sound))))

  ;; The largest of four lanes.
  (func $largest (param $v v128) (result f32)
    (local.set $v (f32x4.pmax (local.get $v)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $v) (local.get $v))))
    (f32x4.extract_lane 0 (f32x4.pmax (local.get $v)
      (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $v) (local.get $v)))))

  ;; find(value) → the lowest id with this logit. The value must be the maximum of a group.
  (func (export "find") (param $value f32) (result i32)
    (local $group i32) (local $at i32)
    (loop $groups_
      (if (f32.ne (local.get $value) (f32.load (i32.add (global.get $maxima) (i32.shl (local.get $group) (i32.const 2)))))
        (then
          (local.set $group (i32.add (local.get $group) (i32.const 1)))
          (br $groups_))))
    (local.set $at (i32.add (global.get $row) (i32.shl (local.get $group) (i32.const 8))))
    (loop $logits
      (if (f32.ne (local.get $value) (f32.load (local.get $at)))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br $logits))))
    (i32.shr_u (i32.sub (local.get $at) (global.get $row)) (i32.const 2)))

  ;; weigh(from, count, most, scale, to): weights[i] = 2^((values[i] - most) · scale), 0 below 2^-92, for
  ;; `count` values at `from`, weights at `to`. Relative error of a weight: 1.3e-7, and 9e-8 more for each
  ;; unit of the exponent.
  (func (export "weigh") (param $from i32) (param $count i32) (param $most f32) (param $scale f32) (param $to i32)
    (local $end i32) (local $mosts v128) (local $scales v128) (local $magic v128) (local $least v128)
    (local $x v128) (local $z v128) (local $f v128) (local $f2 v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128) (local $c4 v128) (local $c5 v128) (local $c6 v128)
    (local.set $mosts (f32x4.splat (local.get $most)))
    (local.set $scales (f32x4.splat (local.get $scale)))
    ;; 1.5 · 2^23: after adding this constant to a small number, the low bits are the nearest whole number.
    (local.set $magic (f32x4.splat (f32.const 12582912)))
    (local.set $least (f32x4.splat (f32.const -92)))
    ;; Coefficients of 2^f, minimax for the relative error on [-1/2, 1/2]: 2e-9 in exact arithmetic, exactly 1
    ;; at 0.
    (local.set $c0 (f32x4.splat (f32.const 1)))
    (local.set $c1 (f32x4.splat (f32.const 0.6931472)))
    (local.set $c2 (f32x4.splat (f32.const 0.24022648)))
    (local.set $c3 (f32x4.splat (f32.const 0.05550332)))
    (local.set $c4 (f32x4.splat (f32.const 0.009618437)))
    (local.set $c5 (f32x4.splat (f32.const 0.0013398875)))
    (local.set $c6 (f32x4.splat (f32.const 0.00015353362)))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (loop $vectors
      (local.set $x (f32x4.mul (f32x4.sub (v128.load (local.get $from)) (local.get $mosts)) (local.get $scales)))
      ;; x = n + f, n whole and |f| ≤ 1/2: 2^x is a polynomial in f, with n added to its exponent.
      (local.set $z (f32x4.add (local.get $x) (local.get $magic)))
      (local.set $f (f32x4.sub (local.get $x) (f32x4.sub (local.get $z) (local.get $magic))))
      (local.set $f2 (f32x4.mul (local.get $f) (local.get $f)))
      (v128.store (local.get $to) (v128.and
        ;; Also false for NaN, the product of -Infinity and a scale of 0.
        (f32x4.ge (local.get $x) (local.get $least))
        (i32x4.add
          (i32x4.shl (local.get $z) (i32.const 23))
          ;; Adds the terms in pairs. Added one by one, each addition waits for the previous one, which takes
          ;; a sixth longer.
          (f32x4.add
            (f32x4.add (local.get $c0) (f32x4.mul (local.get $c1) (local.get $f)))
            (f32x4.mul (local.get $f2) (f32x4.add
              (f32x4.add (local.get $c2) (f32x4.mul (local.get $c3) (local.get $f)))
              (f32x4.mul (local.get $f2) (f32x4.add
                (f32x4.add (local.get $c4) (f32x4.mul (local.get $c5) (local.get $f)))
                (f32x4.mul (local.get $f2) (local.get $c6))))))))))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $vectors (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 16))) (local.get $end)))))

  ;; add(weights, count) → the sum in float64, after writing the sum of each group to `sums`. The 64 weights
  ;; after the last become 0.
  (func (export "add") (param $at i32) (param $count i32) (result f64)
    (local $last i32) (local $end i32) (local $group i32) (local $total f64)
    (local $w v128) (local $low v128) (local $high v128)
    (local.set $last (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $end (local.get $last))
    (loop $padding
      (v128.store (local.get $end) (v128.const f32x4 0 0 0 0))
      (br_if $padding (i32.lt_u (local.tee $end (i32.add (local.get $end) (i32.const 16)))
        (i32.add (local.get $last) (i32.const 256)))))
    (local.set $group (global.get $sums))
    (loop $groups_
      (local.set $end (i32.add (local.get $at) (i32.const 256)))
      (local.set $low (v128.const f64x2 0 0))
      (local.set $high (v128.const f64x2 0 0))
      (loop $vectors
        (local.set $w (v128.load (local.get $at)))
        (local.set $low (f64x2.add (local.get $low) (f64x2.promote_low_f32x4 (local.get $w))))
        (local.set $high (f64x2.add (local.get $high) (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $w) (local.get $w)))))
        (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
      (local.set $low (f64x2.add (local.get $low) (local.get $high)))
      (f64.store (local.get $group)
        (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))
      (local.set $total (f64.add (local.get $total) (f64.load (local.get $group))))
      (local.set $group (i32.add (local.get $group) (i32.const 8)))
      (br_if $groups_ (i32.lt_u (local.get $at) (local.get $last))))
    (local.get $total))

  ;; gather(least, list) → the number of ids with at least this logit, after writing them to the list in
  ;; ascending order; -0 becomes 0. Before the call the list contains the weights of the whole row; the pass
  ;; never overwrites a weight before reading it.
  (func (export "gather") (param $least f32) (param $list i32) (result i32)
    (local $at i32) (local $end i32) (local $group i32) (local $out i32) (local $mask i32)
    (local $weights i32) (local $v v128) (local $w v128) (local $ids v128) (local $pack v128) (local $leasts v128)
    (local.set $leasts (f32x4.splat (local.get $least)))
    (local.set $out (local.get $list))
    (loop $groups_
      ;; Skips groups without such an id, which are most groups.
      (if (f32.ge (f32.load (i32.add (global.get $maxima) (i32.shl (local.get $group) (i32.const 2)))) (local.get $least))
        (then
          (local.set $at (i32.add (global.get $row) (i32.shl (local.get $group) (i32.const 8))))
          (local.set $end (i32.add (local.get $at) (i32.const 256)))
          (local.set $weights (i32.add
            (i32.add (local.get $list) (i32.shl (global.get $stride) (i32.const 1)))
            (i32.shl (local.get $group) (i32.const 8))))
          (local.set $ids (i32x4.add (v128.const i32x4 0 1 2 3)
            (i32x4.splat (i32.shl (local.get $group) (i32.const 6)))))
          (loop $vectors
            (local.set $v (f32x4.add (v128.load (local.get $at)) (v128.const f32x4 0 0 0 0)))
            (if (local.tee $mask (i32x4.bitmask (f32x4.ge (local.get $v) (local.get $leasts))))
              (then
                (local.set $pack (v128.load (i32.shl (local.get $mask) (i32.const 4))))
                (local.set $w (v128.load (local.get $weights)))
                (v128.store (local.get $out) (i8x16.swizzle (local.get $ids) (local.get $pack)))
                (v128.store (i32.add (local.get $out) (global.get $stride))
                  (i8x16.swizzle (local.get $v) (local.get $pack)))
                (v128.store (i32.add (local.get $out) (i32.shl (global.get $stride) (i32.const 1)))
                  (i8x16.swizzle (local.get $w) (local.get $pack)))
                (local.set $out (i32.add (local.get $out) (i32.shl (i32.popcnt (local.get $mask)) (i32.const 2))))))
            (local.set $ids (i32x4.add (local.get $ids) (i32x4.splat (i32.const 4))))
            (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
            (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))))
      (br_if $groups_
        (i32.lt_u (local.tee $group (i32.add (local.get $group) (i32.const 1))) (global.get $groups))))
    (i32.shr_u (i32.sub (local.get $out) (local.get $list)) (i32.const 2)))

  ;; keep(list, count, least, last) → the number of kept entries: entries above `least`, and entries equal to
  ;; `least` up to the id `last`.
  (func (export "keep") (param $list i32) (param $count i32) (param $least f32) (param $last i32) (result i32)
    (local $at i32) (local $end i32) (local $out i32) (local $mask i32)
    (local $ids v128) (local $v v128) (local $w v128) (local $pack v128) (local $leasts v128) (local $lasts v128)
    (local.set $leasts (f32x4.splat (local.get $least)))
    (local.set $lasts (i32x4.splat (local.get $last)))
    (local.set $at (local.get $list))
    (local.set $out (local.get $list))
    (local.set $end (i32.add (local.get $list) (i32.shl (local.get $count) (i32.const 2))))
    (loop $vectors
      (local.set $ids (v128.load (local.get $at)))
      (local.set $v (v128.load (i32.add (local.get $at) (global.get $stride))))
      (local.set $mask (i32x4.bitmask (v128.or
        (f32x4.gt (local.get $v) (local.get $leasts))
        (v128.and
          (f32x4.eq (local.get $v) (local.get $leasts))
          (i32x4.le_s (local.get $ids) (local.get $lasts))))))
      (if (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
        (then (local.set $mask (i32.and (local.get $mask) (call $lanes (local.get $at) (local.get $end))))))
      (local.set $pack (v128.load (i32.shl (local.get $mask) (i32.const 4))))
      (local.set $w (v128.load (i32.add (local.get $at) (i32.shl (global.get $stride) (i32.const 1)))))
      (v128.store (local.get $out) (i8x16.swizzle (local.get $ids) (local.get $pack)))
      (v128.store (i32.add (local.get $out) (global.get $stride)) (i8x16.swizzle (local.get $v) (local.get $pack)))
      (v128.store (i32.add (local.get $out) (i32.shl (global.get $stride) (i32.const 1)))
        (i8x16.swizzle (local.get $w) (local.get $pack)))
      (local.set $out (i32.add (local.get $out) (i32.shl (i32.popcnt (local.get $mask)) (i32.const 2))))
      (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
    (i32.shr_u (i32.sub (local.get $out) (local.get $list)) (i32.const 2)))

  ;; The mask of the one to three lanes at `at` that are before `end`.
  (func $lanes (param $at i32) (param $end i32) (result i32)
    (i32.sub
      (i32.shl (i32.const 1) (i32.shr_u (i32.sub (local.get $end) (local.get $at)) (i32.const 2)))
      (i32.const 1)))

  ;; The three passes below order entries by key. A key is the bits of a float32 that is neither NaN nor -0;
  ;; if the sign is set, the other bits are inverted. Keys compare as integers in the order of the floats, so
  ;; a histogram of keys needs no rounding, and a few histograms suffice for any logits. V8 does not inline
  ;; WebAssembly calls here, so each pass computes the key itself.

  ;; measure(list, count): writes the largest and the smallest key to `span`.
  (func (export "measure") (param $list i32) (param $count i32)
    (local $at i32) (local $end i32) (local $key v128) (local $high v128) (local $low v128)
    (local.set $at (i32.add (local.get $list) (global.get $stride)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    ;; Fills the last vector with copies of the first value, which change neither extreme.
    (v128.store (local.get $end) (v128.load32_splat (local.get $at)))
    (local.set $high (i32x4.splat (i32.const 0x80000000)))
    (local.set $low (i32x4.splat (i32.const 0x7fffffff)))
    (loop $vectors
      (local.set $key (v128.load (local.get $at)))
      (local.set $key (v128.xor (local.get $key)
        (i32x4.shr_u (i32x4.shr_s (local.get $key) (i32.const 31)) (i32.const 1))))
      (local.set $high (i32x4.max_s (local.get $high) (local.get $key)))
      (local.set $low (i32x4.min_s (local.get $low) (local.get $key)))
      (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
    (local.set $high (i32x4.max_s (local.get $high)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $high) (local.get $high))))
    (local.set $high (i32x4.max_s (local.get $high)
      (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $high) (local.get $high))))
    (local.set $low (i32x4.min_s (local.get $low)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $low) (local.get $low))))
    (local.set $low (i32x4.min_s (local.get $low)
      (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $low) (local.get $low))))
    (v128.store32_lane 0 (global.get $span) (local.get $high))
    (v128.store32_lane offset=4 0 (global.get $span) (local.get $low)))

  ;; tally(list, count, high, shift): adds each weight to the bucket (high - key) >> shift. Call it right
  ;; after `measure` of the same list, which fills the last vector, and after clearing the buckets.
  (func (export "tally") (param $list i32) (param $count i32) (param $high i32) (param $shift i32)
    (local $at i32) (local $end i32) (local $bucket i32) (local $v v128) (local $highs v128) (local $origin v128)
    (local.set $highs (i32x4.splat (local.get $high)))
    (local.set $origin (i32x4.splat (global.get $buckets)))
    (local.set $at (i32.add (local.get $list) (global.get $stride)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (v128.store (i32.add (local.get $end) (global.get $stride)) (v128.const f32x4 0 0 0 0))
    (loop $vectors
      (local.set $v (v128.load (local.get $at)))
      (local.set $v (v128.xor (local.get $v)
        (i32x4.shr_u (i32x4.shr_s (local.get $v) (i32.const 31)) (i32.const 1))))
      (local.set $v (i32x4.add (local.get $origin) (i32x4.shl
        (i32x4.shr_u (i32x4.sub (local.get $highs) (local.get $v)) (local.get $shift))
        (i32.const 3))))
      ;; One lane after the other, because two lanes can have the same bucket.
      (local.set $bucket (i32x4.extract_lane 0 (local.get $v)))
      (f64.store (local.get $bucket) (f64.add (f64.load (local.get $bucket))
        (f64.promote_f32 (f32.load (i32.add (local.get $at) (global.get $stride))))))
      (local.set $bucket (i32x4.extract_lane 1 (local.get $v)))
      (f64.store (local.get $bucket) (f64.add (f64.load (local.get $bucket))
        (f64.promote_f32 (f32.load offset=4 (i32.add (local.get $at) (global.get $stride))))))
      (local.set $bucket (i32x4.extract_lane 2 (local.get $v)))
      (f64.store (local.get $bucket) (f64.add (f64.load (local.get $bucket))
        (f64.promote_f32 (f32.load offset=8 (i32.add (local.get $at) (global.get $stride))))))
      (local.set $bucket (i32x4.extract_lane 3 (local.get $v)))
      (f64.store (local.get $bucket) (f64.add (f64.load (local.get $bucket))
        (f64.promote_f32 (f32.load offset=12 (i32.add (local.get $at) (global.get $stride))))))
      (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))

  ;; sift(list, count, high, shift, bucket, to) → the number of entries in this bucket, after copying them to
  ;; the list `to`, which can be the same list.
  (func (export "sift")
    (param $list i32) (param $count i32) (param $high i32) (param $shift i32) (param $bucket i32) (param $to i32) (result i32)
    (local $at i32) (local $end i32) (local $out i32) (local $mask i32)
    (local $ids v128) (local $v v128) (local $w v128) (local $pack v128) (local $highs v128) (local $wanted v128)
    (local.set $highs (i32x4.splat (local.get $high)))
    (local.set $wanted (i32x4.splat (local.get $bucket)))
    (local.set $at (local.get $list))
    (local.set $out (local.get $to))
    (local.set $end (i32.add (local.get $list) (i32.shl (local.get $count) (i32.const 2))))
    (loop $vectors
      (local.set $v (v128.load (i32.add (local.get $at) (global.get $stride))))
      (local.set $mask (i32x4.bitmask (i32x4.eq (local.get $wanted) (i32x4.shr_u
        (i32x4.sub (local.get $highs) (v128.xor (local.get $v)
          (i32x4.shr_u (i32x4.shr_s (local.get $v) (i32.const 31)) (i32.const 1))))
        (local.get $shift)))))
      (if (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
        (then (local.set $mask (i32.and (local.get $mask) (call $lanes (local.get $at) (local.get $end))))))
      (if (local.get $mask)
        (then
          (local.set $pack (v128.load (i32.shl (local.get $mask) (i32.const 4))))
          (local.set $ids (v128.load (local.get $at)))
          (local.set $w (v128.load (i32.add (local.get $at) (i32.shl (global.get $stride) (i32.const 1)))))
          (v128.store (local.get $out) (i8x16.swizzle (local.get $ids) (local.get $pack)))
          (v128.store (i32.add (local.get $out) (global.get $stride)) (i8x16.swizzle (local.get $v) (local.get $pack)))
          (v128.store (i32.add (local.get $out) (i32.shl (global.get $stride) (i32.const 1)))
            (i8x16.swizzle (local.get $w) (local.get $pack)))
          (local.set $out (i32.add (local.get $out) (i32.shl (i32.popcnt (local.get $mask)) (i32.const 2))))))
      (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
    (i32.shr_u (i32.sub (local.get $out) (local.get $to)) (i32.const 2))))
