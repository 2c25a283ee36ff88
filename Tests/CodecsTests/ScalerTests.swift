// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Codecs

@Suite("Scaler")
struct ScalerTests {
    @Test("scaling keeps colours and gives the size asked for, odd ones too", arguments: [(320, 180), (641, 481), (33, 17), (1280, 720)])
    func scales(width: Int, height: Int) throws {
        let scaler = Scaler()
        let scaled = try scaler.scale(makePicture(width: 640, height: 360, index: 0), width: width, height: height)
        #expect((scaled.width, scaled.height) == (width, height))
        let left = scaled.read { $0.meanColour(x: 2, y: 2, width: width / 4, height: height / 4) }
        let expected = YUVColour(red: 191, green: 0, blue: 0)
        #expect(abs(Int(left.y) - Int(expected.y)) <= 2)
        #expect(abs(Int(left.u) - Int(expected.u)) <= 2)
        #expect(abs(Int(left.v) - Int(expected.v)) <= 2)
    }

    @Test("RGB in, RGB out: the conversion to I420 and back is exact to rounding")
    func colours() throws {
        let colours: [(UInt8, UInt8, UInt8)] = [(255, 255, 255), (0, 0, 0), (191, 191, 0), (0, 191, 191), (12, 200, 90), (255, 0, 0)]
        for (red, green, blue) in colours {
            let frame = try VideoFrame(width: 16, height: 16, timestamp: 0) {
                $0.fill(x: 0, y: 0, width: 16, height: 16, YUVColour(red: red, green: green, blue: blue))
            }
            let pixel = try #require(Scaler().rgb(frame)[8, 8])
            #expect(abs(Int(pixel.red) - Int(red)) <= 3)
            #expect(abs(Int(pixel.green) - Int(green)) <= 3)
            #expect(abs(Int(pixel.blue) - Int(blue)) <= 3)
        }
    }

    @Test("a PPM file has its header and three bytes a pixel")
    func ppm() {
        let image = RGBImage(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6])
        #expect(image.ppm == Array("P6\n2 1\n255\n".utf8) + [1, 2, 3, 4, 5, 6])
        #expect(image[2, 0] == nil)
    }
}
