;; Conversion of weights: the blocks of GGUF files and floats become the integers that a graph reads. `npm run
;; generate` compiles this to kernels.wasm.ts; kernels.ts lays out the memory and documents each pass. No pass
;; allocates memory.
;;
;; A pass of a block format reads `count` blocks at `from` without gaps, and writes for each of them, in the
;; order of the weights: integers at `values`, float32 at `scales`, and, if the format has them, float32 at
;; `minimums`. The names d, m, qs, qh, … are the names of the fields in ggml-common.h.
(module
  (import "layout" "memory" (memory 1))

  ;; The float16 at an address as float32. Exact for all values, NaN becomes Infinity.
  (func $half (param $at i32) (result f32)
    (local $bits i32) (local $size f32)
    (local.set $bits (i32.load16_u (local.get $at)))
    ;; The exponent moves from a bias of 15 to a bias of 127 by a product, which is exact for subnormals too.
    (local.set $size (f32.mul
      (f32.reinterpret_i32 (i32.shl (i32.and (local.get $bits) (i32.const 0x7fff)) (i32.const 13)))
      (f32.const 0x1p112)))
    (f32.copysign
      (select (f32.const inf) (local.get $size)
        (i32.eq (i32.and (local.get $bits) (i32.const 0x7c00)) (i32.const 0x7c00)))
      (f32.reinterpret_i32 (i32.shl (local.get $bits) (i32.const 16)))))

  ;; 32 integers of 4 bits in order, of 16 in `low` and then 16 in `high`: the first one of two is the low one.
  (func $pack (param $low v128) (param $high v128) (result v128)
    (v128.or
      (i8x16.shuffle 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 (local.get $low) (local.get $high))
      (i16x8.shl
        (i8x16.shuffle 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31 (local.get $low) (local.get $high))
        (i32.const 4))))

  ;; The reverse for 8 bytes: 16 integers in order.
  (func $unpack (param $bytes v128) (result v128)
    (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23
      (call $low (local.get $bytes)) (call $high (local.get $bytes))))

  ;; The low and the high 4 bits of 16 bytes.
  (func $low (param $bytes v128) (result v128)
    (v128.and (local.get $bytes) (i8x16.splat (i32.const 15))))
  (func $high (param $bytes v128) (result v128)
    (i8x16.shr_u (local.get $bytes) (i32.const 4)))

  ;; 16 in the bytes whose bit of 16 bits is 1, else 0.
  (func $fifth (param $bits i32) (result v128)
    (v128.and (i8x16.splat (i32.const 16))
      (i8x16.eq
        (v128.and
          (i8x16.shuffle 0 0 0 0 0 0 0 0 1 1 1 1 1 1 1 1
            (i32x4.splat (local.get $bits)) (i32x4.splat (local.get $bits)))
          (v128.const i8x16 1 2 4 8 16 32 64 -128 1 2 4 8 16 32 64 -128))
        (v128.const i8x16 1 2 4 8 16 32 64 -128 1 2 4 8 16 32 64 -128))))

  ;; The bytes of four integers as float32.
  (func $four (param $bytes i32) (result v128)
    (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (i32x4.splat (local.get $bytes))))))

  ;; Q4_0: d × (q - 8).
  (func (export "q4_0") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $bytes v128)
    (loop $blocks
      (f32.store (local.get $scales) (call $half (local.get $from)))
      (local.set $bytes (v128.load offset=2 (local.get $from)))
      (v128.store (local.get $values) (call $pack (call $low (local.get $bytes)) (call $high (local.get $bytes))))
      (local.set $from (i32.add (local.get $from) (i32.const 18)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q4_1: d × q + m = d × (q - 8) - (-m - 8d).
  (func (export "q4_1") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $bytes v128) (local $d f32)
    (loop $blocks
      (local.set $d (call $half (local.get $from)))
      (f32.store (local.get $scales) (local.get $d))
      (f32.store (local.get $minimums)
        (f32.sub (f32.mul (local.get $d) (f32.const -8)) (call $half (i32.add (local.get $from) (i32.const 2)))))
      (local.set $bytes (v128.load offset=4 (local.get $from)))
      (v128.store (local.get $values) (call $pack (call $low (local.get $bytes)) (call $high (local.get $bytes))))
      (local.set $from (i32.add (local.get $from) (i32.const 20)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (local.set $minimums (i32.add (local.get $minimums) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q5_0: d × (q - 16) = d × ((q + 112) - 128).
  (func (export "q5_0") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (loop $blocks
      (f32.store (local.get $scales) (call $half (local.get $from)))
      (call $five (i32.add (local.get $from) (i32.const 2)) (local.get $values))
      (local.set $from (i32.add (local.get $from) (i32.const 22)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q5_1: d × q + m = d × ((q + 112) - 128) - (-m - 16d).
  (func (export "q5_1") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $d f32)
    (loop $blocks
      (local.set $d (call $half (local.get $from)))
      (f32.store (local.get $scales) (local.get $d))
      (f32.store (local.get $minimums)
        (f32.sub (f32.mul (local.get $d) (f32.const -16)) (call $half (i32.add (local.get $from) (i32.const 2)))))
      (call $five (i32.add (local.get $from) (i32.const 4)) (local.get $values))
      (local.set $from (i32.add (local.get $from) (i32.const 24)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (local.set $minimums (i32.add (local.get $minimums) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; 32 integers of 5 bits (qh, qs), plus 112.
  (func $five (param $from i32) (param $values i32)
    (local $bits i32) (local $bytes v128)
    (local.set $bits (i32.load (local.get $from)))
    (local.set $bytes (v128.load offset=4 (local.get $from)))
    (v128.store (local.get $values)
      (i8x16.add (i8x16.splat (i32.const 112))
        (v128.or (call $low (local.get $bytes)) (call $fifth (local.get $bits)))))
    (v128.store offset=16 (local.get $values)
      (i8x16.add (i8x16.splat (i32.const 112))
        (v128.or (call $high (local.get $bytes)) (call $fifth (i32.shr_u (local.get $bits) (i32.const 16)))))))

  ;; Q8_0: d × q.
  (func (export "q8_0") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (loop $blocks
      (f32.store (local.get $scales) (call $half (local.get $from)))
      (v128.store (local.get $values)
        (v128.xor (v128.load offset=2 (local.get $from)) (i8x16.splat (i32.const 128))))
      (v128.store offset=16 (local.get $values)
        (v128.xor (v128.load offset=18 (local.get $from)) (i8x16.splat (i32.const 128))))
      (local.set $from (i32.add (local.get $from) (i32.const 34)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q2_K (scales, qs, d, dmin): S × q - m = S × ((q + 6) - 8) - (m - 2S), in blocks of 16.
  (func (export "q2_k") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $d v128) (local $dmin v128) (local $bytes i32) (local $s v128) (local $at i32) (local $end i32)
    (loop $blocks
      (local.set $d (f32x4.splat (call $half (i32.add (local.get $from) (i32.const 80)))))
      (local.set $dmin (f32x4.splat (call $half (i32.add (local.get $from) (i32.const 82)))))
      (local.set $at (local.get $from))
      (local.set $end (i32.add (local.get $from) (i32.const 16)))
      (loop $fours
        (local.set $bytes (i32.load (local.get $at)))
        (local.set $s (f32x4.mul (local.get $d)
          (call $four (i32.and (local.get $bytes) (i32.const 0x0f0f0f0f)))))
        (v128.store (local.get $scales) (local.get $s))
        (v128.store (local.get $minimums)
          (f32x4.sub
            (f32x4.mul (local.get $dmin)
              (call $four (i32.and (i32.shr_u (local.get $bytes) (i32.const 4)) (i32.const 0x0f0f0f0f))))
            (f32x4.add (local.get $s) (local.get $s))))
        (local.set $scales (i32.add (local.get $scales) (i32.const 16)))
        (local.set $minimums (i32.add (local.get $minimums) (i32.const 16)))
        (br_if $fours (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
      (call $twos (i32.add (local.get $from) (i32.const 16)) (local.get $values))
      (call $twos (i32.add (local.get $from) (i32.const 48)) (i32.add (local.get $values) (i32.const 64)))
      (local.set $from (i32.add (local.get $from) (i32.const 84)))
      (local.set $values (i32.add (local.get $values) (i32.const 128)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; 128 integers of 2 bits in 32 bytes, plus 6: bits 0 and 1 of all bytes, then bits 2 and 3, ….
  (func $twos (param $from i32) (param $values i32)
    (local $one v128) (local $other v128) (local $shift i32)
    (local.set $one (v128.load (local.get $from)))
    (local.set $other (v128.load offset=16 (local.get $from)))
    (loop $shifts
      (v128.store (local.get $values)
        (i8x16.add (i8x16.splat (i32.const 0x66)) (call $pack
          (v128.and (i8x16.shr_u (local.get $one) (local.get $shift)) (i8x16.splat (i32.const 3)))
          (v128.and (i8x16.shr_u (local.get $other) (local.get $shift)) (i8x16.splat (i32.const 3))))))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (br_if $shifts (i32.lt_u (local.tee $shift (i32.add (local.get $shift) (i32.const 2))) (i32.const 8)))))

  ;; Q3_K (hmask, qs, scales, d): d × (sc - 32) × (q - 4) = S × ((q + 4) - 8), in blocks of 16.
  (func (export "q3_k") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $d f32) (local $a i32) (local $b i32) (local $c i32)
    (loop $blocks
      (local.set $d (call $half (i32.add (local.get $from) (i32.const 108))))
      ;; Scale i has its lower 4 bits in half a byte of a (0-3, 8-11) or b (4-7, 12-15), and 2 bits of c.
      (local.set $a (i32.load offset=96 (local.get $from)))
      (local.set $b (i32.load offset=100 (local.get $from)))
      (local.set $c (i32.load offset=104 (local.get $from)))
      (v128.store (local.get $scales) (call $scaled (local.get $d) (local.get $a) (local.get $c)))
      (v128.store offset=16 (local.get $scales)
        (call $scaled (local.get $d) (local.get $b) (i32.shr_u (local.get $c) (i32.const 2))))
      (v128.store offset=32 (local.get $scales)
        (call $scaled (local.get $d) (i32.shr_u (local.get $a) (i32.const 4)) (i32.shr_u (local.get $c) (i32.const 4))))
      (v128.store offset=48 (local.get $scales)
        (call $scaled (local.get $d) (i32.shr_u (local.get $b) (i32.const 4)) (i32.shr_u (local.get $c) (i32.const 6))))
      (call $threes (local.get $from) (i32.add (local.get $from) (i32.const 32)) (i32.const 0) (local.get $values))
      (call $threes (local.get $from) (i32.add (local.get $from) (i32.const 64)) (i32.const 4)
        (i32.add (local.get $values) (i32.const 64)))
      (local.set $from (i32.add (local.get $from) (i32.const 110)))
      (local.set $values (i32.add (local.get $values) (i32.const 128)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 64)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; d × (the integers of 6 bits - 32): 4 lower bits of the bytes of `low`, and 2 of the bytes of `high`.
  (func $scaled (param $d f32) (param $low i32) (param $high i32) (result v128)
    (f32x4.mul (f32x4.splat (local.get $d))
      (f32x4.sub
        (call $four (i32.or
          (i32.and (local.get $low) (i32.const 0x0f0f0f0f))
          (i32.shl (i32.and (local.get $high) (i32.const 0x03030303)) (i32.const 4))))
        (f32x4.splat (f32.const 32)))))

  ;; 128 integers of 3 bits, plus 4: 2 bits as in $twos, and a third at `bit` and after it in the bytes of hmask.
  (func $threes (param $hmask i32) (param $from i32) (param $bit i32) (param $values i32)
    (local $one v128) (local $other v128) (local $shift i32) (local $thirdOne v128) (local $thirdOther v128)
    (local.set $one (v128.load (local.get $from)))
    (local.set $other (v128.load offset=16 (local.get $from)))
    (local.set $thirdOne (i8x16.shr_u (v128.load (local.get $hmask)) (local.get $bit)))
    (local.set $thirdOther (i8x16.shr_u (v128.load offset=16 (local.get $hmask)) (local.get $bit)))
    (loop $shifts
      (v128.store (local.get $values)
        (i8x16.add (i8x16.splat (i32.const 0x44)) (call $pack
          (v128.or
            (v128.and (i8x16.shr_u (local.get $one) (local.get $shift)) (i8x16.splat (i32.const 3)))
            (i16x8.shl (v128.and (local.get $thirdOne) (i8x16.splat (i32.const 1))) (i32.const 2)))
          (v128.or
            (v128.and (i8x16.shr_u (local.get $other) (local.get $shift)) (i8x16.splat (i32.const 3)))
            (i16x8.shl (v128.and (local.get $thirdOther) (i8x16.splat (i32.const 1))) (i32.const 2))))))
      (local.set $thirdOne (i8x16.shr_u (local.get $thirdOne) (i32.const 1)))
      (local.set $thirdOther (i8x16.shr_u (local.get $thirdOther) (i32.const 1)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (br_if $shifts (i32.lt_u (local.tee $shift (i32.add (local.get $shift) (i32.const 2))) (i32.const 8)))))

  ;; Scales and minimums of a block of Q4_K or Q5_K (d, dmin, scales): 8 times S = d × sc, and m - zero × S with
  ;; m = dmin × mn. All products are exact in float32, and only the difference is rounded.
  (func $scaleMinimum (param $from i32) (param $zero f32) (param $scales i32) (param $minimums i32)
    (local $d v128) (local $dmin v128) (local $zeros v128) (local $a i32) (local $b i32) (local $c i32) (local $s v128)
    (local.set $d (f32x4.splat (call $half (local.get $from))))
    (local.set $dmin (f32x4.splat (call $half (i32.add (local.get $from) (i32.const 2)))))
    (local.set $zeros (f32x4.splat (local.get $zero)))
    (local.set $a (i32.load offset=4 (local.get $from)))
    (local.set $b (i32.load offset=8 (local.get $from)))
    (local.set $c (i32.load offset=12 (local.get $from)))
    (local.set $s (f32x4.mul (local.get $d) (call $four (i32.and (local.get $a) (i32.const 0x3f3f3f3f)))))
    (v128.store (local.get $scales) (local.get $s))
    (v128.store (local.get $minimums) (f32x4.sub
      (f32x4.mul (local.get $dmin) (call $four (i32.and (local.get $b) (i32.const 0x3f3f3f3f))))
      (f32x4.mul (local.get $zeros) (local.get $s))))
    (local.set $s (f32x4.mul (local.get $d) (call $four (i32.or
      (i32.and (local.get $c) (i32.const 0x0f0f0f0f))
      (i32.and (i32.shr_u (local.get $a) (i32.const 2)) (i32.const 0x30303030))))))
    (v128.store offset=16 (local.get $scales) (local.get $s))
    (v128.store offset=16 (local.get $minimums) (f32x4.sub
      (f32x4.mul (local.get $dmin) (call $four (i32.or
        (i32.and (i32.shr_u (local.get $c) (i32.const 4)) (i32.const 0x0f0f0f0f))
        (i32.and (i32.shr_u (local.get $b) (i32.const 2)) (i32.const 0x30303030)))))
      (f32x4.mul (local.get $zeros) (local.get $s)))))

  ;; Q4_K (d, dmin, scales, qs): S × q - m = S × (q - 8) - (m - 8S), in blocks of 32.
  (func (export "q4_k") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $at i32) (local $end i32) (local $one v128) (local $other v128)
    (loop $blocks
      (call $scaleMinimum (local.get $from) (f32.const 8) (local.get $scales) (local.get $minimums))
      (local.set $at (i32.add (local.get $from) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 144)))
      (loop $groups
        (local.set $one (v128.load (local.get $at)))
        (local.set $other (v128.load offset=16 (local.get $at)))
        (v128.store (local.get $values) (call $pack (call $low (local.get $one)) (call $low (local.get $other))))
        (v128.store offset=16 (local.get $values)
          (call $pack (call $high (local.get $one)) (call $high (local.get $other))))
        (local.set $values (i32.add (local.get $values) (i32.const 32)))
        (br_if $groups (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $from))))
      (local.set $scales (i32.add (local.get $scales) (i32.const 32)))
      (local.set $minimums (i32.add (local.get $minimums) (i32.const 32)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q5_K (d, dmin, scales, qh, qs): S × q - m = S × ((q + 112) - 128) - (m - 16S), in blocks of 32.
  (func (export "q5_k") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $at i32) (local $one v128) (local $other v128) (local $fifthOne v128) (local $fifthOther v128)
    (local $bit v128) (local $more v128)
    (local.set $bit (i8x16.splat (i32.const 16)))
    (local.set $more (i8x16.splat (i32.const 112)))
    (loop $blocks
      (call $scaleMinimum (local.get $from) (f32.const 16) (local.get $scales) (local.get $minimums))
      (local.set $fifthOne (v128.load offset=16 (local.get $from)))
      (local.set $fifthOther (v128.load offset=32 (local.get $from)))
      (local.set $at (i32.add (local.get $from) (i32.const 48)))
      (local.set $from (i32.add (local.get $from) (i32.const 176)))
      (loop $groups
        (local.set $one (v128.load (local.get $at)))
        (local.set $other (v128.load offset=16 (local.get $at)))
        ;; Bit 0 of qh belongs to the low halves, bit 1 to the high halves; then both are shifted out.
        (v128.store (local.get $values) (i8x16.add (local.get $more) (v128.or (call $low (local.get $one))
          (v128.and (local.get $bit) (i16x8.shl (local.get $fifthOne) (i32.const 4))))))
        (v128.store offset=16 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $low (local.get $other))
          (v128.and (local.get $bit) (i16x8.shl (local.get $fifthOther) (i32.const 4))))))
        (v128.store offset=32 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $high (local.get $one))
          (v128.and (local.get $bit) (i16x8.shl (local.get $fifthOne) (i32.const 3))))))
        (v128.store offset=48 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $high (local.get $other))
          (v128.and (local.get $bit) (i16x8.shl (local.get $fifthOther) (i32.const 3))))))
        (local.set $fifthOne (i16x8.shr_u (local.get $fifthOne) (i32.const 2)))
        (local.set $fifthOther (i16x8.shr_u (local.get $fifthOther) (i32.const 2)))
        (local.set $values (i32.add (local.get $values) (i32.const 64)))
        (br_if $groups (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 32))) (local.get $from))))
      (local.set $scales (i32.add (local.get $scales) (i32.const 32)))
      (local.set $minimums (i32.add (local.get $minimums) (i32.const 32)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Q6_K (ql, qh, scales, d): d × sc × (q - 32) = S × ((q + 96) - 128), in blocks of 16.
  (func (export "q6_k") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $d v128) (local $at i32) (local $end i32)
    (loop $blocks
      (local.set $d (f32x4.splat (call $half (i32.add (local.get $from) (i32.const 208)))))
      (local.set $at (i32.add (local.get $from) (i32.const 192)))
      (local.set $end (i32.add (local.get $from) (i32.const 208)))
      (loop $fours
        (v128.store (local.get $scales) (f32x4.mul (local.get $d)
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s
            (i32x4.splat (i32.load (local.get $at))))))))
        (local.set $scales (i32.add (local.get $scales) (i32.const 16)))
        (br_if $fours (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
      (call $sixes (local.get $from) (i32.add (local.get $from) (i32.const 128)) (local.get $values))
      (call $sixes (i32.add (local.get $from) (i32.const 16)) (i32.add (local.get $from) (i32.const 144))
        (i32.add (local.get $values) (i32.const 16)))
      (call $sixes (i32.add (local.get $from) (i32.const 64)) (i32.add (local.get $from) (i32.const 160))
        (i32.add (local.get $values) (i32.const 128)))
      (call $sixes (i32.add (local.get $from) (i32.const 80)) (i32.add (local.get $from) (i32.const 176))
        (i32.add (local.get $values) (i32.const 144)))
      (local.set $from (i32.add (local.get $from) (i32.const 210)))
      (local.set $values (i32.add (local.get $values) (i32.const 256)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; 4 times 16 integers of 6 bits, plus 96, 32 integers apart: 4 bits in ql at 0 and 32, 2 bits in qh.
  (func $sixes (param $ql i32) (param $qh i32) (param $values i32)
    (local $one v128) (local $other v128) (local $top v128) (local $bits v128) (local $more v128)
    (local.set $one (v128.load (local.get $ql)))
    (local.set $other (v128.load offset=32 (local.get $ql)))
    (local.set $top (v128.load (local.get $qh)))
    (local.set $bits (i8x16.splat (i32.const 48)))
    (local.set $more (i8x16.splat (i32.const 96)))
    (v128.store (local.get $values) (i8x16.add (local.get $more) (v128.or (call $low (local.get $one))
      (v128.and (local.get $bits) (i16x8.shl (local.get $top) (i32.const 4))))))
    (v128.store offset=32 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $low (local.get $other))
      (v128.and (local.get $bits) (i16x8.shl (local.get $top) (i32.const 2))))))
    (v128.store offset=64 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $high (local.get $one))
      (v128.and (local.get $bits) (local.get $top)))))
    (v128.store offset=96 (local.get $values) (i8x16.add (local.get $more) (v128.or (call $high (local.get $other))
      (v128.and (local.get $bits) (i16x8.shr_u (local.get $top) (i32.const 2)))))))

  ;; The values of 16 bytes' halves in a table, plus 128: 32 bytes.
  (func $look (param $table v128) (param $bytes v128) (param $values i32)
    (v128.store (local.get $values) (i8x16.swizzle (local.get $table) (call $low (local.get $bytes))))
    (v128.store offset=16 (local.get $values) (i8x16.swizzle (local.get $table) (call $high (local.get $bytes)))))

  ;; IQ4_NL: d × table[q]. The table is kvalues_iq4nl plus 128.
  (func (export "iq4_nl") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (loop $blocks
      (f32.store (local.get $scales) (call $half (local.get $from)))
      (call $look (v128.const i8x16 1 24 45 63 79 93 106 118 129 141 153 166 181 197 217 241)
        (v128.load offset=2 (local.get $from)) (local.get $values))
      (local.set $from (i32.add (local.get $from) (i32.const 18)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; IQ4_XS (d, scales_h, scales_l, qs): d × (ls - 32) × table[q], in blocks of 32.
  (func (export "iq4_xs") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $d f32) (local $high i32) (local $low i32) (local $at i32)
    (loop $blocks
      (local.set $d (call $half (local.get $from)))
      (local.set $high (i32.load16_u offset=2 (local.get $from)))
      (local.set $low (i32.load offset=4 (local.get $from)))
      (local.set $at (i32.add (local.get $from) (i32.const 8)))
      (local.set $from (i32.add (local.get $from) (i32.const 136)))
      (loop $groups
        (f32.store (local.get $scales) (f32.mul (local.get $d) (f32.convert_i32_s (i32.sub
          (i32.or (i32.and (local.get $low) (i32.const 15))
            (i32.shl (i32.and (local.get $high) (i32.const 3)) (i32.const 4)))
          (i32.const 32)))))
        (local.set $low (i32.shr_u (local.get $low) (i32.const 4)))
        (local.set $high (i32.shr_u (local.get $high) (i32.const 2)))
        (call $look (v128.const i8x16 1 24 45 63 79 93 106 118 129 141 153 166 181 197 217 241)
          (v128.load (local.get $at)) (local.get $values))
        (local.set $values (i32.add (local.get $values) (i32.const 32)))
        (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
        (br_if $groups (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $from))))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; MXFP4 (e, qs): 2^(e - 128) × table[q]. The table has the values of E2M1 times 2, plus 128. From e = 253 on the
  ;; product 12 × 2^(e - 128) is no float32, and 255 is NaN in the specification: the scale becomes Infinity.
  (func (export "mxfp4") (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $minimums i32)
    (local $e i32)
    (loop $blocks
      (local.set $e (i32.load8_u (local.get $from)))
      (f32.store (local.get $scales)
        (select
          (f32.const inf)
          (f32.reinterpret_i32 (select
            ;; Subnormal: 2^-128 and 2^-127.
            (i32.shl (i32.const 0x200000) (local.get $e))
            (i32.shl (i32.sub (local.get $e) (i32.const 1)) (i32.const 23))
            (i32.lt_u (local.get $e) (i32.const 2))))
          (i32.ge_u (local.get $e) (i32.const 253))))
      (call $look (v128.const i8x16 128 129 130 131 132 134 136 140 128 127 126 125 124 122 120 116)
        (v128.load offset=1 (local.get $from)) (local.get $values))
      (local.set $from (i32.add (local.get $from) (i32.const 17)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; isFinite(at, count): 1 if the `count` float32 at `at` are all finite. Reads up to 3 floats past the end.
  (func (export "isFinite") (param $at i32) (param $count i32) (result i32)
    (local $sound v128) (local $end i32) (local $last v128)
    (local.set $sound (i32x4.splat (i32.const -1)))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (block $whole
      (br_if $whole (i32.eq (local.get $at) (local.get $end)))
      (loop $vectors
        (local.set $sound (v128.and (local.get $sound)
          (f32x4.lt (f32x4.abs (v128.load (local.get $at))) (f32x4.splat (f32.const inf)))))
        (br_if $vectors (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))
    ;; The lanes past the end count as finite.
    (local.set $last (i32x4.ge_u (v128.const i32x4 0 1 2 3) (i32x4.splat (i32.and (local.get $count) (i32.const 3)))))
    (i32x4.all_true (v128.and (local.get $sound) (v128.or (local.get $last)
      (f32x4.lt (f32x4.abs (v128.load (local.get $at))) (f32x4.splat (f32.const inf)))))))

  ;; bf16(from, count, to): `count` / 8 groups of 8 bfloat16 become float32.
  (func (export "bf16") (param $from i32) (param $count i32) (param $to i32)
    (local $v v128) (local $end i32)
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 1))))
    (loop $vectors
      (local.set $v (v128.load (local.get $from)))
      (v128.store (local.get $to) (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $v)) (i32.const 16)))
      (v128.store offset=16 (local.get $to) (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $v)) (i32.const 16)))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (br_if $vectors (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 16))) (local.get $end)))))

  ;; f16(from, count, to): `count` / 8 groups of 8 float16 become float32. NaN becomes Infinity or NaN.
  (func (export "f16") (param $from i32) (param $count i32) (param $to i32)
    (local $v v128) (local $end i32)
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 1))))
    (loop $vectors
      (local.set $v (v128.load (local.get $from)))
      (v128.store (local.get $to) (call $halves (i32x4.extend_low_i16x8_u (local.get $v))))
      (v128.store offset=16 (local.get $to) (call $halves (i32x4.extend_high_i16x8_u (local.get $v))))
      (local.set $to (i32.add (local.get $to) (i32.const 32)))
      (br_if $vectors (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 16))) (local.get $end)))))

  ;; As $half, for 4 patterns of 16 bits. No operand is a subnormal float32: those take a hundred times as long.
  (func $halves (param $bits v128) (result v128)
    (local $exponent v128) (local $size v128) (local $own v128)
    (local.set $exponent (i32x4.splat (i32.const 0x7c00)))
    (local.set $own (v128.and (local.get $bits) (local.get $exponent)))
    ;; The exponent moves from a bias of 15 to a bias of 127.
    (local.set $size (i32x4.add (i32x4.splat (i32.const 0x38000000))
      (i32x4.shl (v128.and (local.get $bits) (i32x4.splat (i32.const 0x7fff))) (i32.const 13))))
    (v128.or
      (v128.or
        ;; Subnormal: the fraction follows 2^-14, which is subtracted.
        (v128.bitselect
          (f32x4.sub (i32x4.add (local.get $size) (i32x4.splat (i32.const 0x800000))) (f32x4.splat (f32.const 0x1p-14)))
          (local.get $size)
          (i32x4.eq (local.get $own) (i32x4.splat (i32.const 0))))
        (i32x4.shl (v128.and (local.get $bits) (i32x4.splat (i32.const 0x8000))) (i32.const 16)))
      (v128.and (i32x4.splat (i32.const 0x7f800000)) (i32x4.eq (local.get $exponent) (local.get $own)))))

  ;; The largest of four signed integers: the largest of four floats without a sign, or NaN.
  (func $largest (param $v v128) (result f32)
    (local.set $v (i32x4.max_s (local.get $v)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $v) (local.get $v))))
    (f32x4.extract_lane 0 (i32x4.max_s (local.get $v)
      (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $v) (local.get $v)))))

  ;; 1 / scale; 0 if that is no float32.
  (func $inverse (param $scale f32) (result f32)
    (local $result f32)
    (local.set $result (f32.div (f32.const 1) (local.get $scale)))
    (select (local.get $result) (f32.const 0) (f32.lt (f32.abs (local.get $result)) (f32.const inf))))

  ;; 16 float32 times a factor, rounded to integers (ties to even), minus a shift, as bytes with saturation. The
  ;; sum of 1.5 × 2^23 and a number below 2^22 has the rounded number in its lower bits: this is the fast way.
  (func $bytes (param $at i32) (param $factor v128) (param $shift v128) (result v128)
    (local $magic v128)
    (local.set $magic (f32x4.splat (f32.const 0x1.8p23)))
    (i8x16.narrow_i16x8_u
      (i16x8.narrow_i32x4_s
        (i32x4.sub (f32x4.add (local.get $magic)
          (f32x4.mul (local.get $factor) (v128.load (local.get $at)))) (local.get $shift))
        (i32x4.sub (f32x4.add (local.get $magic)
          (f32x4.mul (local.get $factor) (v128.load offset=16 (local.get $at)))) (local.get $shift)))
      (i16x8.narrow_i32x4_s
        (i32x4.sub (f32x4.add (local.get $magic)
          (f32x4.mul (local.get $factor) (v128.load offset=32 (local.get $at)))) (local.get $shift))
        (i32x4.sub (f32x4.add (local.get $magic)
          (f32x4.mul (local.get $factor) (v128.load offset=48 (local.get $at)))) (local.get $shift)))))

  ;; The largest magnitude of 32 float32; NaN if one is NaN. Without the sign, floats compare as integers, which
  ;; is one instruction instead of many.
  (func $magnitude (param $at i32) (result f32)
    (local $unsigned v128)
    (local.set $unsigned (i32x4.splat (i32.const 0x7fffffff)))
    (call $largest
      (i32x4.max_s
        (i32x4.max_s
          (i32x4.max_s
            (v128.and (local.get $unsigned) (v128.load (local.get $at)))
            (v128.and (local.get $unsigned) (v128.load offset=16 (local.get $at))))
          (i32x4.max_s
            (v128.and (local.get $unsigned) (v128.load offset=32 (local.get $at)))
            (v128.and (local.get $unsigned) (v128.load offset=48 (local.get $at)))))
        (i32x4.max_s
          (i32x4.max_s
            (v128.and (local.get $unsigned) (v128.load offset=64 (local.get $at)))
            (v128.and (local.get $unsigned) (v128.load offset=80 (local.get $at))))
          (i32x4.max_s
            (v128.and (local.get $unsigned) (v128.load offset=96 (local.get $at)))
            (v128.and (local.get $unsigned) (v128.load offset=112 (local.get $at))))))))

  ;; quantize8(from, count, values, scales): blocks of 32 float32 become integers of 8 bits with zero 128. The
  ;; scale is the largest magnitude over 127.
  (func (export "quantize8") (param $from i32) (param $count i32) (param $values i32) (param $scales i32)
    (local $scale f32) (local $factor v128) (local $zero v128)
    (local.set $zero (i32x4.splat (i32.sub (i32.const 0x4b400000) (i32.const 128))))
    (loop $blocks
      (local.set $scale (f32.div (call $magnitude (local.get $from)) (f32.const 127)))
      (local.set $factor (f32x4.splat (call $inverse (local.get $scale))))
      (f32.store (local.get $scales) (local.get $scale))
      (v128.store (local.get $values) (call $bytes (local.get $from) (local.get $factor) (local.get $zero)))
      (v128.store offset=16 (local.get $values)
        (call $bytes (i32.add (local.get $from) (i32.const 64)) (local.get $factor) (local.get $zero)))
      (local.set $from (i32.add (local.get $from) (i32.const 128)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; 4 bits: min(15, floor(x × factor + 8.5)) of 16 float32, as bytes. 2^23 plus a whole number has the number in
  ;; its lower bits.
  (func $nibbles (param $at i32) (param $factor v128) (result v128)
    (local $half v128) (local $magic v128) (local $byte v128)
    (local.set $half (f32x4.splat (f32.const 8.5)))
    (local.set $magic (f32x4.splat (f32.const 0x1p23)))
    (local.set $byte (i32x4.splat (i32.const 255)))
    (i8x16.min_u (i8x16.splat (i32.const 15))
      (i8x16.narrow_i16x8_u
        (i16x8.narrow_i32x4_s
          (v128.and (local.get $byte) (f32x4.add (local.get $magic) (f32x4.floor (f32x4.add (local.get $half)
            (f32x4.mul (local.get $factor) (v128.load (local.get $at)))))))
          (v128.and (local.get $byte) (f32x4.add (local.get $magic) (f32x4.floor (f32x4.add (local.get $half)
            (f32x4.mul (local.get $factor) (v128.load offset=16 (local.get $at))))))))
        (i16x8.narrow_i32x4_s
          (v128.and (local.get $byte) (f32x4.add (local.get $magic) (f32x4.floor (f32x4.add (local.get $half)
            (f32x4.mul (local.get $factor) (v128.load offset=32 (local.get $at)))))))
          (v128.and (local.get $byte) (f32x4.add (local.get $magic) (f32x4.floor (f32x4.add (local.get $half)
            (f32x4.mul (local.get $factor) (v128.load offset=48 (local.get $at)))))))))))

  ;; Bits of the 16 float32 whose magnitude is `most`.
  (func $where (param $at i32) (param $most v128) (result i32)
    (i32.or
      (i32.or
        (i32x4.bitmask (f32x4.eq (local.get $most) (f32x4.abs (v128.load (local.get $at)))))
        (i32.shl (i32x4.bitmask (f32x4.eq (local.get $most) (f32x4.abs (v128.load offset=16 (local.get $at)))))
          (i32.const 4)))
      (i32.or
        (i32.shl (i32x4.bitmask (f32x4.eq (local.get $most) (f32x4.abs (v128.load offset=32 (local.get $at)))))
          (i32.const 8))
        (i32.shl (i32x4.bitmask (f32x4.eq (local.get $most) (f32x4.abs (v128.load offset=48 (local.get $at)))))
          (i32.const 12)))))

  ;; quantize4(from, count, values, scales): blocks of 32 float32 become integers of 4 bits with zero 8. The
  ;; scale is the first number of the largest magnitude, with its sign, over -8.
  (func (export "quantize4") (param $from i32) (param $count i32) (param $values i32) (param $scales i32)
    (local $scale f32) (local $factor v128) (local $most v128) (local $index i32)
    (loop $blocks
      (local.set $scale (call $magnitude (local.get $from)))
      (local.set $most (f32x4.splat (local.get $scale)))
      (local.set $index (i32.or (call $where (local.get $from) (local.get $most))
        (i32.shl (call $where (i32.add (local.get $from) (i32.const 64)) (local.get $most)) (i32.const 16))))
      ;; No number equals NaN: the scale is NaN then.
      (local.set $scale (f32.div
        (select
          (f32.load (i32.add (local.get $from)
            (i32.shl (i32.and (i32.ctz (local.get $index)) (i32.const 31)) (i32.const 2))))
          (local.get $scale) (local.get $index))
        (f32.const -8)))
      (local.set $factor (f32x4.splat (call $inverse (local.get $scale))))
      (f32.store (local.get $scales) (local.get $scale))
      (v128.store (local.get $values) (call $pack
        (call $nibbles (local.get $from) (local.get $factor))
        (call $nibbles (i32.add (local.get $from) (i32.const 64)) (local.get $factor))))
      (local.set $from (i32.add (local.get $from) (i32.const 128)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; The smallest and the largest of 32 float32 and 0, in the lanes 0 and 1; NaN if one is NaN. As integers, the
  ;; largest one with a sign is the largest float, and the largest one without is the smallest float.
  (func $range (param $at i32) (result v128)
    (local $low v128) (local $high v128)
    (local.set $low (i32x4.splat (i32.const 0x80000000)))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=0 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=0 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=16 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=16 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=32 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=32 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=48 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=48 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=64 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=64 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=80 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=80 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=96 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=96 (local.get $at))))
    (local.set $low (i32x4.max_u (local.get $low) (v128.load offset=112 (local.get $at))))
    (local.set $high (i32x4.max_s (local.get $high) (v128.load offset=112 (local.get $at))))
    (f32x4.replace_lane 1
      ;; All have the sign bit: without it, they compare with a sign too.
      (f32x4.splat (f32.neg (call $largest (v128.and (local.get $low) (i32x4.splat (i32.const 0x7fffffff))))))
      (call $largest (local.get $high))))

  ;; quantizeZero(from, count, values, scales, zeroPoints): blocks of 32 float32 become integers of 8 bits with a
  ;; zero point. The scale is the width of the range, which includes 0, over 255.
  (func (export "quantizeZero")
    (param $from i32) (param $count i32) (param $values i32) (param $scales i32) (param $zeroPoints i32)
    (local $span v128) (local $scale f32) (local $inverse f32) (local $factor v128) (local $zero i32) (local $zeros v128)
    (loop $blocks
      (local.set $span (call $range (local.get $from)))
      (local.set $scale (f32.div
        (f32.sub (f32x4.extract_lane 1 (local.get $span)) (f32x4.extract_lane 0 (local.get $span)))
        (f32.const 255)))
      (local.set $inverse (call $inverse (local.get $scale)))
      (local.set $factor (f32x4.splat (local.get $inverse)))
      (local.set $zero (i32.trunc_sat_f32_s
        (f32.nearest (f32.neg (f32.mul (local.get $inverse) (f32x4.extract_lane 0 (local.get $span)))))))
      (local.set $zeros (i32x4.splat (i32.sub (i32.const 0x4b400000) (local.get $zero))))
      (f32.store (local.get $scales) (local.get $scale))
      (i32.store8 (local.get $zeroPoints) (local.get $zero))
      (v128.store (local.get $values) (call $bytes (local.get $from) (local.get $factor) (local.get $zeros)))
      (v128.store offset=16 (local.get $values)
        (call $bytes (i32.add (local.get $from) (i32.const 64)) (local.get $factor) (local.get $zeros)))
      (local.set $from (i32.add (local.get $from) (i32.const 128)))
      (local.set $values (i32.add (local.get $values) (i32.const 32)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (local.set $zeroPoints (i32.add (local.get $zeroPoints) (i32.const 1)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; 16 signed integers of 8 bits become float32: scale × q - minimum.
  (func $sixteen (param $q v128) (param $scale f32) (param $minimum f32) (param $to i32)
    (local $low v128) (local $high v128) (local $scales v128) (local $minimums v128)
    (local.set $low (i16x8.extend_low_i8x16_s (local.get $q)))
    (local.set $high (i16x8.extend_high_i8x16_s (local.get $q)))
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $minimums (f32x4.splat (local.get $minimum)))
    (v128.store (local.get $to) (f32x4.sub
      (f32x4.mul (local.get $scales) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $low))))
      (local.get $minimums)))
    (v128.store offset=16 (local.get $to) (f32x4.sub
      (f32x4.mul (local.get $scales) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $low))))
      (local.get $minimums)))
    (v128.store offset=32 (local.get $to) (f32x4.sub
      (f32x4.mul (local.get $scales) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $high))))
      (local.get $minimums)))
    (v128.store offset=48 (local.get $to) (f32x4.sub
      (f32x4.mul (local.get $scales) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $high))))
      (local.get $minimums))))

  ;; dequantize4(values, scales, minimums, count, to, shift): `count` groups of 16 integers of 4 bits become
  ;; float32. Group i has the scale and the minimum at i >> shift.
  (func (export "dequantize4")
    (param $values i32) (param $scales i32) (param $minimums i32) (param $count i32) (param $to i32) (param $shift i32)
    (local $at i32) (local $bytes v128) (local $index i32)
    (loop $groups
      (local.set $bytes (v128.load64_zero (i32.add (local.get $values) (i32.shl (local.get $at) (i32.const 3)))))
      (local.set $index (i32.shl (i32.shr_u (local.get $at) (local.get $shift)) (i32.const 2)))
      (call $sixteen
        (i8x16.sub (call $unpack (local.get $bytes)) (i8x16.splat (i32.const 8)))
        (f32.load (i32.add (local.get $scales) (local.get $index)))
        (f32.load (i32.add (local.get $minimums) (local.get $index)))
        (local.get $to))
      (local.set $to (i32.add (local.get $to) (i32.const 64)))
      (br_if $groups (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $count)))))

  ;; dequantize8: as dequantize4, for integers of 8 bits.
  (func (export "dequantize8")
    (param $values i32) (param $scales i32) (param $minimums i32) (param $count i32) (param $to i32) (param $shift i32)
    (local $at i32) (local $index i32)
    (loop $groups
      (local.set $index (i32.shl (i32.shr_u (local.get $at) (local.get $shift)) (i32.const 2)))
      (call $sixteen
        (v128.xor (i8x16.splat (i32.const 128))
          (v128.load (i32.add (local.get $values) (i32.shl (local.get $at) (i32.const 4)))))
        (f32.load (i32.add (local.get $scales) (local.get $index)))
        (f32.load (i32.add (local.get $minimums) (local.get $index)))
        (local.get $to))
      (local.set $to (i32.add (local.get $to) (i32.const 64)))
      (br_if $groups (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $count)))))

  ;; widen(values, count, to): `count` groups of 16 integers of 4 bits with zero 8 become integers of 8 bits with
  ;; zero 128.
  (func (export "widen") (param $values i32) (param $count i32) (param $to i32)
    (loop $groups
      (v128.store (local.get $to)
        (i8x16.add (i8x16.splat (i32.const 120)) (call $unpack (v128.load64_zero (local.get $values)))))
      (local.set $values (i32.add (local.get $values) (i32.const 8)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $groups (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; twice(from, count, to): each of `count` float32 becomes two: a block becomes two blocks of half the size.
  (func (export "twice") (param $from i32) (param $count i32) (param $to i32)
    (local $scale i32)
    (loop $scales
      (local.set $scale (i32.load (local.get $from)))
      (i32.store (local.get $to) (local.get $scale))
      (i32.store offset=4 (local.get $to) (local.get $scale))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (br_if $scales (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; joinBlocks(pairs, exponents, count, to): `count` blocks of MXFP4 whose exponents are apart, and whose byte i
  ;; has the integers 2i and 2i + 1, become the blocks (e, qs) of a GGUF file.
  (func (export "joinBlocks") (param $pairs i32) (param $exponents i32) (param $count i32) (param $to i32)
    (loop $blocks
      (i32.store8 (local.get $to) (i32.load8_u (local.get $exponents)))
      (v128.store offset=1 (local.get $to)
        (v128.or
          (call $unpack (v128.load64_zero (local.get $pairs)))
          (i16x8.shl (call $unpack (v128.load64_zero offset=8 (local.get $pairs))) (i32.const 4))))
      (local.set $pairs (i32.add (local.get $pairs) (i32.const 16)))
      (local.set $exponents (i32.add (local.get $exponents) (i32.const 1)))
      (local.set $to (i32.add (local.get $to) (i32.const 17)))
      (br_if $blocks (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
)
