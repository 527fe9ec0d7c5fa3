"""Camera files as their owners write them, with the numbers of one known camera of each lens.

Layout, comments, order of keys and digits follow the owners' documentation and own files; nothing
here was written by hsitool.
"""

from __future__ import annotations

ROS = """\
image_width: 1280
image_height: 1024
camera_name: narrow_stereo/left
camera_matrix:
  rows: 3
  cols: 3
  data: [900.25, 0.0, 650.5, 0.0, 905.75, 500.125, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.2, 0.08, 0.0005, -0.0003, 0.01]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [850.1, 0.0, 640.0, 0.0, 0.0, 860.2, 510.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""

ROS_MESSAGE = """\
header:
  seq: 5
  stamp:
    secs: 1600000000
    nsecs: 123456789
  frame_id: "camera"
height: 1024
width: 1280
distortion_model: "rational_polynomial"
D: [-0.2, 0.08, 0.0005, -0.0003, 0.01, 0.02, -0.03, 0.005]
K: [900.25, 0.0, 650.5, 0.0, 905.75, 500.125, 0.0, 0.0, 1.0]
R: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
P: [900.25, 0.0, 650.5, 0.0, 0.0, 905.75, 500.125, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 2
binning_y: 2
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: False
---
"""

KALIBR = """\
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.2, 0.08, 0.0005, -0.0003]
  distortion_model: radtan
  intrinsics: [900.25, 905.75, 650.5, 500.125]
  resolution: [1280, 1024]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [0.9999, 0.0021, 0.0042, -0.1100]
  - [-0.0022, 0.9997, 0.0236, 0.0003]
  - [-0.0042, -0.0236, 0.9997, -0.0005]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [0]
  camera_model: pinhole
  distortion_coeffs: [0.05, -0.01, 3e-3, -0.001]
  distortion_model: equidistant
  intrinsics: [600.5, 602.25, 640.25, 512.5]
  resolution: [1280, 1024]
  rostopic: /cam1/image_raw
cam2:
  camera_model: pinhole
  distortion_coeffs: []
  distortion_model: none
  intrinsics: [900.25, 905.75, 650.5, 500.125]
  resolution: [1280, 1024]
  rostopic: /cam2/image_raw
"""

COLMAP = """\
# Camera list with one line of data per camera:
#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]
# Number of cameras: 7
1 OPENCV 1280 1024 900.25 905.75 651 500.625 -0.2 0.08 0.0005 -0.0003
2 FULL_OPENCV 1280 1024 900.25 905.75 651 500.625 -0.2 0.08 0.0005 -0.0003 0.01 0.02 -0.03 0.005
3 OPENCV_FISHEYE 1280 1024 600.5 602.25 640.75 513 0.05 -0.01 0.003 -0.001
4 SIMPLE_RADIAL 3072 2304 2559.8099999999999 1536 1152 -0.0205
5 PINHOLE 3072 2304 2560.5599999999999 2561.25 1536 1152
8 SIMPLE_PINHOLE 3072 2304 2559.8099999999999 1536 1152
9 RADIAL 3072 2304 2559.8099999999999 1536 1152 -0.0205 0.01
"""

MRCAL = """\
# generated on 2024-03-01 10:11:12  with   mrcal-calibrate-cameras --lensmodel LENSMODEL_OPENCV8 \\
#   --focal 900 --object-spacing 0.0588 --corners-cache corners.vnl '*.jpg'
# [ not data ]
{
    'lensmodel':  'LENSMODEL_OPENCV8',

    # intrinsics are fx,fy,cx,cy,distortion0,distortion1,....
    'intrinsics': [ 900.25, 905.75, 650.5, 500.125, -0.2, 0.08, 0.0005, -0.0003, 0.01, 0.02,\
 -0.03, 0.005,],

    'valid_intrinsics_region': [
    [ 0, 0 ],
    [ 1279, 0 ],
    [ 1279, 1023 ],
    [ 0, 0 ],
],

    # extrinsics are rt_fromref
    'extrinsics': [ 2e-2, -3e-1, -1e-2, 1., 2, -3., ],

    'imagersize': [ 1280, 1024,],

    # The optimization inputs contain all the data used to compute this model.
    'optimization_inputs': b'P)h>@6aWAK2mk;8ApigX0000000000#[({0000',

}
"""

METASHAPE_CALIBRATION = """\
<?xml version="1.0" encoding="UTF-8"?>
<calibration>
  <projection>frame</projection>
  <width>1280</width>
  <height>1024</height>
  <f>905.75</f>
  <cx>11</cx>
  <cy>-11.375</cy>
  <b1>-5.5</b1>
  <b2>0.75</b2>
  <k1>-0.2</k1>
  <k2>0.08</k2>
  <k3>0.01</k3>
  <k4>0.004</k4>
  <p1>-0.0003</p1>
  <p2>0.0005</p2>
  <date>2022-05-26T08:27:27Z</date>
</calibration>
"""

METASHAPE_CAMERAS = """\
<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0">
  <chunk label="Chunk 1" enabled="true">
    <sensors next_id="3">
      <sensor id="0" label="DSC-QX100 (10.4mm)" type="frame">
        <resolution width="1280" height="1024"/>
        <property name="pixel_width" value="0.0024"/>
        <property name="pixel_height" value="0.0025"/>
        <property name="focal_length" value="10.4"/>
        <property name="layer_index" value="0"/>
        <bands>
          <band label="Red"/>
        </bands>
        <data_type>uint8</data_type>
        <calibration type="frame" class="initial">
          <resolution width="1280" height="1024"/>
          <f>800</f>
        </calibration>
        <calibration type="frame" class="adjusted">
          <resolution width="1280" height="1024"/>
          <f>905.75</f>
          <cx>11</cx>
          <cy>-11.375</cy>
          <b1>-5.5</b1>
          <k1>-0.2</k1>
          <k2>0.08</k2>
          <p1>-0.0003</p1>
          <p2>0.0005</p2>
        </calibration>
        <covariance>
          <params>f cx cy b1 k1 p1</params>
          <coeffs>1.0e-02 0 0 2.0e-03 0 0 0 4.0e-02 0 0 0 0 0 0 5.0e-02 0 0 0 2.0e-03 0 0 3.0e-03\
 0 0 0 0 0 0 1.0e-08 0 0 0 0 0 0 1.0e-10</coeffs>
        </covariance>
      </sensor>
      <sensor id="1" label="fish" type="fisheye">
        <resolution width="1280" height="1024"/>
        <calibration type="fisheye" class="adjusted">
          <resolution width="1280" height="1024"/>
          <f>602.25</f>
          <cx>0.75</cx>
          <cy>1</cy>
          <b1>-1.75</b1>
          <k1>0.05</k1>
          <k2>-0.01</k2>
          <k3>0.003</k3>
          <k4>-0.001</k4>
        </calibration>
      </sensor>
    </sensors>
    <cameras next_id="1" next_group_id="0">
      <camera id="0" sensor_id="0" component_id="0" label="DSC00001">
        <transform>1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</transform>
      </camera>
    </cameras>
  </chunk>
</document>
"""
